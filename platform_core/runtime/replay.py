"""Replay of logged requests through another version, each once; for shadows and paired comparison.

Of two versions that are compared each is given what the other answered, and a sample of it is enough: so many bytes of
the log a look, whatever the traffic. Those predictions that are timed are timed of both, next to each other in this
process, for a prediction here and an answer there are not the same thing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
import orjson

from loopline.platform_core.contracts.serving import SHADOW_ROLE, Served
from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.foundation.clock import Clock
from loopline.platform_core.runtime import shadow_log
from loopline.platform_core.runtime.model.given import Given
from loopline.platform_core.runtime.model.models import load_model
from loopline.platform_core.runtime.model.readings import read
from loopline.platform_core.runtime.prediction_log import log
from loopline.platform_core.runtime.prediction_log.log import PredictionLog, Record

if TYPE_CHECKING:
    from loopline.platform_core.signing.trust import Proof

BATCH = 500
"""Requests that are encoded together, and predicted together but for the timed ones."""
TIMED = 50
"""Of each batch so many requests are predicted alone, as a server does, so that their latency is a server's."""
SAMPLED_BYTES = 128 * 1024
"""Of a file's news a sample of about so many bytes is replayed at a look, which bounds what pairs add to the log."""
_SCATTER = 2_654_435_761
"""Multiplied by it, places in a file are spread evenly (Knuth, "The Art of Computer Programming", 6.4)."""


class LoggedRequest(NamedTuple):
    """A request of the log, and the place behind it."""

    record: Record
    source: tuple[str, int]


class Prediction(NamedTuple):
    """What a version says of a request's rows (no scores: it failed), and what that took if it was timed.

    ``raw`` are all numbers of each row, where it has more than one. ``beside_ms`` is what it took the version that
    answered the caller.
    """

    scores: list[float] | None
    raw: list[list[float]] | None = None
    latency_ms: float | None = None
    beside_ms: float | None = None


class ShadowModel:
    """A version in memory that answers from the log; see ``load_model`` for what it raises."""

    def __init__(self, served: Served, proof: Proof | None = None) -> None:
        self.served = served
        self._model = load_model(served.package, proof)
        manifest = self._model.manifest
        self._names = [field.name for field in manifest.features]
        self._encoder = manifest.encoder()

    def encode(self, records: Sequence[Record]) -> Given:
        """Encode the logged features of requests, row by row.

        Raises:
            ContractBroken: the log holds no such feature, or text for a number.
        """
        rows = [orjson.loads(row) for record in records for row in record.features]
        try:
            columns = {name: [row[name] for row in rows] for name in self._names}
        except KeyError as error:
            raise ContractBroken(
                f"version {self.served.version} reads {error}, which version {records[0].version} logs none of",
                "set Rollout(shadow_requests=0): only where it answers itself is that feature looked up",
            ) from error
        return self._encoder.matrix(columns)

    def encoded(self, record: Record) -> Given | None:
        """Encode one request; None where it lacks what this version reads."""
        try:
            return self.encode([record])
        except ContractBroken:
            return None

    def predict(self, matrix: Given) -> Prediction:
        """Predict rows; there are no scores where the model fails or says what is no number."""
        try:
            raw = self._model.predict(matrix)
        except Exception:  # noqa: BLE001 - a model may raise anything, and that is what a shadow is to find out
            return Prediction(None)
        scores, _, rows = read(self._model.target, raw)
        return Prediction(scores, rows)

    def timed(self, matrix: Given) -> Prediction:
        """Predict as a server does for one request, and say what it took."""
        started = time.perf_counter()
        said = self.predict(matrix)
        return said._replace(latency_ms=(time.perf_counter() - started) * 1e3)


class Replay:
    """The replay of one model's log; ``problem`` says what keeps it from repeating some requests.

    ``beside`` are the other versions in memory, for their time. With ``sampled`` only what they answered is replayed,
    and a sample of it where there is much.
    """

    def __init__(  # noqa: PLR0913 - what is replayed, from where, and beside what
        self,
        root: Path,
        model: str,
        shadow: ShadowModel,
        clock: Clock,
        *,
        beside: Mapping[str, ShadowModel] | None = None,
        sampled: bool = False,
    ) -> None:
        self.shadow, self.beside, self.sampled = shadow, dict(beside or {}), sampled
        self.problem = ""
        self._root, self._model, self._clock = root, model, clock
        self._offsets = shadow_log.reached(root, model, shadow.served.version)

    def run(self, into: PredictionLog) -> Iterator[int]:
        """Repeat what the log holds beyond the last request repeated, and yield after each batch how many it had."""
        for file in shadow_log.answered(self._root, self._model):
            one_in = self._one_in(file)
            found = self._logged_requests(file)
            while batch := list(islice(found, BATCH)):
                chosen = [one for one in batch if self._is_wanted(one, one_in)]
                done = self._repeat(chosen, into) if chosen else 0
                self._offsets[file.name] = batch[-1].source[1]  # before the yield: whoever stops there stays behind it
                yield done

    def _one_in(self, file: Path) -> int:
        """Say what share of a file's news is repeated: one request in so many."""
        news = file.stat().st_size - self._offsets.get(file.name, 0)
        return -(-max(news, 1) // SAMPLED_BYTES) if self.sampled else 1

    def _is_wanted(self, one: LoggedRequest, one_in: int) -> bool:
        version = one.record.version
        if not one.record.keys or version == self.shadow.served.version:  # of a person who was erased nothing is left
            return False
        if self.sampled and version not in self.beside:
            return False
        return one.source[1] * _SCATTER % 2**32 * one_in < 2**32  # by its place, not by what it holds

    def _logged_requests(self, file: Path) -> Iterator[LoggedRequest]:
        before = self._offsets.get(file.name, 0)
        if file.stat().st_size > before:
            for record, after in log.each(file, before):
                yield LoggedRequest(record, (file.name, after))

    def _repeat(self, batch: Sequence[LoggedRequest], into: PredictionLog) -> int:
        try:
            matrix = self.shadow.encode([one.record for one in batch])
        except ContractBroken as error:
            if len(batch) > 1:  # some may be of a version that logs what the shadow needs
                return sum(self._repeat([one], into) for one in batch)
            self.problem = str(error)
            return 0
        for one, said in zip(batch, self._predicted(batch, matrix), strict=True):
            into.write(self._model, self._record(one, said))
            self._offsets[one.source[0]] = one.source[1]  # a later one may not fit on the disk
        return len(batch)

    def _predicted(self, batch: Sequence[LoggedRequest], matrix: Given) -> Iterator[Prediction]:
        """Answer requests: the first alone and timed, the others together."""
        ends = np.cumsum([0, *(len(one.record.keys) for one in batch)]).tolist()
        parts = [slice(start, end) for start, end in pairwise(ends)]
        for number, part in enumerate(parts[:TIMED]):
            yield self._timed(batch[number].record, matrix[part], number)
        rest = parts[TIMED:]
        together = self.shadow.predict(matrix[rest[0].start :]) if rest else None
        for part in rest:
            if together is None or together.scores is None:  # one of them makes it fail
                yield self.shadow.predict(matrix[part])
            else:
                own = slice(part.start - rest[0].start, part.stop - rest[0].start)
                yield Prediction(together.scores[own], together.raw and together.raw[own])

    def _timed(self, record: Record, matrix: Given, number: int) -> Prediction:
        """Time a prediction, and that of the version that answered; each is first every other time."""
        other = self.beside.get(record.version)
        theirs = other.encoded(record) if other else None
        if other is None or theirs is None:
            return self.shadow.timed(matrix)
        if number % 2:
            said, beside = self.shadow.timed(matrix), other.timed(theirs)
        else:
            beside, said = other.timed(theirs), self.shadow.timed(matrix)
        return said._replace(beside_ms=beside.latency_ms)

    def _record(self, one: LoggedRequest, said: Prediction) -> Record:
        return msgspec.structs.replace(
            one.record,
            logged_at_us=self._clock.now_us(),
            version=self.shadow.served.version,
            cycle=self.shadow.served.cycle,
            role=SHADOW_ROLE,
            status=500 if said.scores is None else 200,
            latency_ms=said.latency_ms,
            scores=said.scores,
            source=one.source,
            beside_ms=said.beside_ms,
            raw=said.raw,
        )
