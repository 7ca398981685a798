"""Batch of the requests of one turn of the event loop: each step is done for all of them together.

Each step is taken by all before the next begins: its code and tables stay in the core's caches, which a request that
goes through all steps alone fills anew. The log takes all records of a model in one write, SQLite all keys in one
query. Who fails drops out; the others go on. What it saves stands in docs/decisions/0029.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import islice

from loopline.platform_core.contracts.online_store import Key
from loopline.platform_core.errors import Transient
from loopline.platform_core.runtime.answering.answers import answered
from loopline.platform_core.runtime.answering.gathering import Gathered, Lookup
from loopline.platform_core.runtime.answering.inference import Begun, Inference, answer, record
from loopline.platform_core.runtime.answering.predicting import VersionPrediction, predict_each
from loopline.platform_core.runtime.answering.routes import Route
from loopline.platform_core.runtime.metrics import Metrics, blamed
from loopline.platform_core.runtime.prediction_log.log import Record
from loopline.platform_core.runtime.wire.http import Response, length, refusal
from loopline.platform_core.runtime.wire.protocol import InferRequest, decode

LogMany = Callable[[str, Sequence[Record]], None]
"""Keeps records of requests to the model named first; when it returns, they are safe."""


class PendingRequest:
    """A request on its way: what came, what was made of it so far, and why it does not go on.

    ``request_id`` is the id that came beside the body, None if nobody looked for one; ``record`` is in the log.
    """

    __slots__ = (
        "begun",
        "body",
        "failed",
        "gathered",
        "headers",
        "lookups",
        "model",
        "prediction",
        "record",
        "request",
        "request_id",
        "response",
        "route",
        "started",
        "version",
    )

    request: InferRequest
    begun: Begun
    gathered: Gathered
    prediction: VersionPrediction
    response: Response

    def __init__(self, model: str, version: str, route: Route, headers: dict[bytes, bytes], body: bytes) -> None:
        self.model, self.version, self.route, self.headers, self.body = model, version, route, headers, body
        self.started = time.perf_counter()
        self.lookups: Sequence[Lookup] = ()
        self.failed: Exception | None = None
        self.request_id: str | None = None
        self.record: Record | None = None


class TurnBatch:
    """Takes requests through the steps of ``Inference.infer``, none of which waits; see ``Inference.at_once``."""

    def __init__(self, inference: Inference, metrics: Metrics, log: LogMany) -> None:
        self._inference, self._metrics, self._log = inference, metrics, log

    def answer(self, batch: Sequence[PendingRequest]) -> None:
        """Give each request its response, once all records are in the log."""
        started, self._asked_at_us = time.perf_counter(), self._inference.clock.now_us()
        going = _step_each(_decode, batch)
        going = _step_each(self._begin, going)
        going = self._look_up(going)
        going = _step_each(_gather, going)
        going = _predict(going)
        self._keep(going, started)  # before any answer is made: what was answered is in the log, whatever is killed
        for one in batch:
            self._respond(one)

    def _begin(self, one: PendingRequest) -> None:
        one.begun = self._inference.begin(one.route, one.request, one.version, self._asked_at_us)

    def _look_up(self, batch: list[PendingRequest]) -> list[PendingRequest]:
        """Ask the store once for all; if that fails, it fails those who need it.

        Rows come back in the order of keys: each request takes as many as it asked for from its view's iterator.
        """
        asks = [(one, one.begun.version.recipe.asks(one.begun.request)) for one in batch if one.route.looks_up]
        keys: defaultdict[str, list[Key]] = defaultdict(list)
        for _, asked in asks:
            for view, wanted in asked:
                keys[view] += wanted
        if not keys:
            return batch
        try:
            rows = dict(zip(keys, map(iter, self._inference.store.read(list(keys.items()))), strict=True))
        except Exception as error:  # noqa: BLE001 - a store may raise anything
            for one, asked in asks:
                one.failed = error if asked else None
            return [one for one in batch if one.failed is None]
        for one, asked in asks:
            held = [list(islice(rows[view], len(wanted))) for view, wanted in asked]
            one.lookups = one.begun.version.recipe.lookups(one.begun.request, held)
        return batch

    def _keep(self, batch: Sequence[PendingRequest], started: float) -> None:
        """Log all of a model in one write; each took its share of the time."""
        records: defaultdict[str, list[Record]] = defaultdict(list)
        now_us, seconds = self._inference.clock.now_us(), (time.perf_counter() - started) / max(1, len(batch))
        for one in batch:
            self._inference.freshness.count(one.model, one.prediction.gathered.uses)
            one.record = record(one.begun, one.prediction, now_us, seconds, self._inference.image)
            records[one.model].append(one.record)
        for model, several in records.items():
            try:
                self._log(model, several)
            except Transient as error:  # the log takes no more
                for one in batch:
                    if one.model == model:
                        one.failed, one.record = error, None

    def _respond(self, one: PendingRequest) -> None:
        version = ""
        if one.failed is None:
            try:
                said = answer(one.model, one.begun, one.prediction)
                one.response, version = answered(one.model, one.request, said), said.version
            except Exception as error:  # noqa: BLE001 - whatever fails is answered
                one.failed = error
        if one.failed is not None:
            one.response, version = refusal(one.failed), _blamed(one)
        rows = one.request.rows if one.failed is None else 0
        self._metrics.count(one.model, version, one.started, one.failed, rows)


def _blamed(one: PendingRequest) -> str:
    """Name the version that was to answer; "" if none was chosen."""
    begun: Begun | None = getattr(one, "begun", None)
    return blamed(one.failed) if begun is None else begun.version.served.version


def _step_each(step: Callable[[PendingRequest], None], batch: Sequence[PendingRequest]) -> list[PendingRequest]:
    """Take a step with each, and return those who can go on."""
    going = []
    for one in batch:
        try:
            step(one)
        except Exception as error:  # noqa: BLE001 - whatever fails is answered
            one.failed = error
        else:
            going.append(one)
    return going


def _decode(one: PendingRequest) -> None:
    one.request = decode(one.body, length(one.headers), one.request_id)


def _gather(one: PendingRequest) -> None:
    begun = one.begun
    one.gathered = begun.version.recipe.gather(begun.request, one.lookups, begun.event_time_us)


def _predict(batch: Sequence[PendingRequest]) -> list[PendingRequest]:
    """Let each version answer its requests."""
    versions: defaultdict[int, list[PendingRequest]] = defaultdict(list)
    for one in batch:
        versions[id(one.begun.version)].append(one)
    for several in versions.values():
        version = several[0].begun.version
        for one, said in zip(several, predict_each(version, [one.gathered for one in several]), strict=True):
            if isinstance(said, Exception):
                one.failed = said
            else:
                one.prediction = VersionPrediction(one.gathered, version.recipe.keys(one.begun.request), *said)
    return [one for one in batch if one.failed is None]
