"""Replays what callers were answered through a shadow, each request once."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import orjson
from numpy.typing import NDArray

from loopline.platform_core.contracts.serving import SHADOW_ROLE, Served
from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.foundation.clock import Clock
from loopline.platform_core.runtime import shadow_log
from loopline.platform_core.runtime.model.encode import Encoder
from loopline.platform_core.runtime.model.models import load_model
from loopline.platform_core.runtime.prediction_log import log
from loopline.platform_core.runtime.prediction_log.log import PredictionLog, Record

BATCH = 500
"""Requests that are encoded together, and predicted together but for the timed ones."""
TIMED = 50
"""Of each batch so many requests are predicted alone, as a server does, so that their latency is a server's."""


class Found(NamedTuple):
    """A request of the log, and the place behind it."""

    record: Record
    source: tuple[str, int]


class Prediction(NamedTuple):
    """Probabilities of a request's rows (None: the model failed), and what they took if they were timed."""

    scores: list[float] | None
    latency_ms: float | None


class ShadowModel:
    """A version in memory that answers from the log; see ``load_model`` for what it raises."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self._model = load_model(served.package)
        manifest = self._model.manifest
        self._names = [field.name for field in manifest.features]
        self._encoder = Encoder(self._names, manifest.vocabulary)

    def encode(self, records: Sequence[Record]) -> NDArray[np.float64]:
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

    def predict(self, matrix: NDArray[np.float64], counts: Sequence[int]) -> Iterator[Prediction]:
        """Answer requests of so many rows each: the first alone and timed, the others together."""
        ends = np.cumsum([0, *counts]).tolist()
        for start, end in pairwise(ends[: TIMED + 1]):
            yield self._timed(matrix[start:end])
        rest = ends[TIMED:]
        if len(rest) > 1:
            together = self._scores(matrix[rest[0] :])
            for start, end in pairwise(rest):
                if together is None:  # one of them makes it fail
                    yield Prediction(self._scores(matrix[start:end]), None)
                else:
                    yield Prediction(together[start - rest[0] : end - rest[0]], None)

    def _timed(self, matrix: NDArray[np.float64]) -> Prediction:
        started = time.perf_counter()
        scores = self._scores(matrix)
        return Prediction(scores, (time.perf_counter() - started) * 1e3)

    def _scores(self, matrix: NDArray[np.float64]) -> list[float] | None:
        try:
            scores: list[float] = self._model.predict(matrix).tolist()
        except Exception:  # noqa: BLE001 - a model may raise anything, and that is what a shadow is to find out
            return None
        return scores if all(map(math.isfinite, scores)) else None


class Replay:
    """The replay of one model's log; ``problem`` says what keeps it from repeating some requests."""

    def __init__(self, root: Path, model: str, shadow: ShadowModel, clock: Clock) -> None:
        self.shadow = shadow
        self.problem = ""
        self._root, self._model, self._clock = root, model, clock
        self._offsets = shadow_log.reached(root, model, shadow.served.version)

    def run(self, into: PredictionLog) -> Iterator[int]:
        """Repeat what the log holds beyond the last request repeated, and yield after each batch how many it had."""
        for file in shadow_log.answered(self._root, self._model):
            found = self._found(file)
            while batch := list(islice(found, BATCH)):
                others = [one for one in batch if one.record.version != self.shadow.served.version]
                done = self._repeat(others, into)
                self._offsets[file.name] = batch[-1].source[1]  # before the yield: whoever stops there stays behind it
                yield done

    def _found(self, file: Path) -> Iterator[Found]:
        before = self._offsets.get(file.name, 0)
        if file.stat().st_size > before:
            for record, after in log.each(file, before):
                yield Found(record, (file.name, after))

    def _repeat(self, batch: Sequence[Found], into: PredictionLog) -> int:
        try:
            matrix = self.shadow.encode([one.record for one in batch])
        except ContractBroken as error:
            if len(batch) > 1:  # some may be of a version that logs what the shadow needs
                return sum(self._repeat([one], into) for one in batch)
            self.problem = str(error)
            return 0
        counts = [len(one.record.keys) for one in batch]
        for one, said in zip(batch, self.shadow.predict(matrix, counts), strict=True):
            into.write(self._model, self._record(one, said))
            self._offsets[one.source[0]] = one.source[1]  # a later one may not fit on the disk
        return len(batch)

    def _record(self, one: Found, said: Prediction) -> Record:
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
        )
