"""Inference of one request: choose the version, gather features, predict, log, then answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from loopline.platform_core.contracts.online_store import OnlineStore
from loopline.platform_core.contracts.serving import MOST_AHEAD
from loopline.platform_core.errors import BadRequest, NotFound, StoreUnavailable, TaskFailed
from loopline.platform_core.foundation.clock import Clock, WallClock
from loopline.platform_core.runtime.answering import explained
from loopline.platform_core.runtime.answering.freshness import Freshness
from loopline.platform_core.runtime.answering.predicting import VersionPrediction, gather_and_predict
from loopline.platform_core.runtime.answering.routes import Role, Route, Version
from loopline.platform_core.runtime.metrics import blame
from loopline.platform_core.runtime.model.readings import Passing
from loopline.platform_core.runtime.model.thread_choice import THREADS
from loopline.platform_core.runtime.prediction_log.log import Record
from loopline.platform_core.runtime.wire.outputs import Outputs
from loopline.platform_core.runtime.wire.protocol import InferRequest

Log = Callable[[str, Record], None]
"""Keeps the record of a request to the model named first; when it returns, the record is safe."""


class Begun(msgspec.Struct, frozen=True):
    """A request, and the version that answers it; ``event_time_us`` is now unless the caller said otherwise."""

    request: InferRequest
    version: Version
    role: Role
    asked_at_us: int
    event_time_us: int


@dataclass(frozen=True, slots=True)
class ModelState:
    """What is known of a model: its route once one is loaded, and why the newest state is not served (else "")."""

    route: Route | None = None
    problem: str = ""


class Answer(msgspec.Struct, frozen=True):
    """The outputs by name, one entry a row, in which form they are, and who gave them."""

    version: str
    cycle: str
    role: Role
    outputs: Mapping[str, list[Any]]
    form: Outputs


@dataclass(slots=True)
class Inference:
    """Every model of a worker; ``models`` entries are replaced as a whole, a request reads its entry once.

    While a request waits for the online store others go on; it keeps the version that it began with. What watches a
    model reads on by event time, so that a request may happen no more than ``most_ahead_us`` after the clock's time.
    """

    store: OnlineStore
    log: Log
    clock: Clock = field(default_factory=WallClock)
    models: dict[str, ModelState] = field(default_factory=dict)
    freshness: Freshness = field(default_factory=Freshness)
    most_rows: int = 10_000
    most_ahead_us: int = MOST_AHEAD // timedelta(microseconds=1)
    admit: Callable[[], None] | None = None
    """Counts each request, and refuses one too many by ``BadRequest`` with status 429; None counts nothing."""
    image: str | None = None
    """The container image in which this server runs, if it runs in one; the log names it."""

    async def infer(self, model: str, request: InferRequest, version: str = "") -> Answer:
        """Answer a request.

        A request is answered by one version, chosen by the key of its first row, also when it asks for many rows.

        Raises:
            NotFound: the model or the version is unknown. StoreUnavailable: the model is still loading, or the online
            store or the log does not answer. BadRequest: tensors are missing or unknown, or it is one too many.
            TaskFailed: the model raised; that is logged as status 500.
        """
        started, asked_at_us = time.perf_counter(), self.clock.now_us()
        begun = self.begin(self.route(model), request, version, asked_at_us)
        try:
            recipe = begun.version.recipe
            asks = recipe.asks(begun.request)
            found = recipe.lookups(begun.request, await self.store.fetch(asks)) if asks else []
            predicted = await gather_and_predict(begun.version, begun.request, found, begun.event_time_us)
            self.freshness.count(model, predicted.gathered.uses)
            seconds = time.perf_counter() - started
            self.log(model, record(begun, predicted, self.clock.now_us(), seconds, self.image))
            if begun.request.explain:
                run = asyncio.get_running_loop().run_in_executor
                return await run(THREADS, answer, model, begun, predicted)
            return answer(model, begun, predicted)
        except BaseException as error:
            blame(error, begun.version.served.version)
            raise

    def begin(self, route: Route, request: InferRequest, version: str, asked_at_us: int) -> Begun:
        """Check a request and choose its version; for what it raises see ``infer``."""
        if self.admit is not None:
            self.admit()
        if request.rows > self.most_rows:
            raise BadRequest(f"{request.rows} rows exceed {self.most_rows}", "ask for fewer rows at once", status=413)
        chosen, role = _choose(route, request, version)
        try:
            if request.explain:
                explained.check(chosen, request)
            elif request.outputs:
                chosen.model.outputs.check(request.outputs)
            request = chosen.recipe.checked(request)
            event_time_us = request.event_time_us
            if event_time_us is None:
                event_time_us = asked_at_us
            elif event_time_us > asked_at_us + self.most_ahead_us:
                raise _too_far_ahead(event_time_us, asked_at_us)
        except BadRequest as error:
            blame(error, chosen.served.version)
            raise
        return Begun(request, chosen, role, asked_at_us, event_time_us)

    def at_once(self, model: str, rows: int) -> Route | None:
        """Return what answers for a model, if it answers so many rows without waiting.

        A version waits for others with whom it shares a prediction, for a thread, and for a store that is elsewhere.
        """
        state = self.models.get(model)
        route = state.route if state is not None else None
        if route is None or rows > route.rows_at_once:
            return None
        is_here = not route.looks_up or type(self.store).fetch is OnlineStore.fetch  # that one reads, and no more
        return route if is_here else None

    def route(self, model: str) -> Route:
        """Return what answers for a model.

        Raises:
            NotFound: nobody asked for the model. StoreUnavailable: no version of it is loaded yet.
        """
        state = self.models.get(model)
        if state is None:
            raise NotFound(  # which others are is not told: they may be thousands, and not everybody may ask them
                f"no model {model!r} is served",
                "check its name: whoever runs the endpoint sees all by 'loopline model status'",
            )
        if state.route is None:
            raise StoreUnavailable(f"model {model!r} is not loaded: {state.problem or 'loading'}", "try again soon")
        return state.route


def record(begun: Begun, predicted: VersionPrediction, logged_at_us: int, seconds: float, image: str | None) -> Record:
    """Write down a request and what was said of it in so many seconds, by a server of an image."""
    gathered, served = predicted.gathered, begun.version.served
    return Record(
        request_id=begun.request.id,
        event_time_us=begun.event_time_us,
        logged_at_us=logged_at_us,
        version=served.version,
        cycle=served.cycle,
        role=begun.role,
        status=500 if predicted.scores is None else 200,
        latency_ms=seconds * 1e3,
        scores=predicted.scores,
        keys=predicted.keys,
        features=gathered.features,
        missing=gathered.missing,
        stale=gathered.stale,
        asked_at_us=begun.asked_at_us,
        raw=predicted.raw,
        image=image,
    )


def answer(model: str, begun: Begun, predicted: VersionPrediction) -> Answer:
    """Put the answer together.

    Raises:
        TaskFailed: the model raised. StoreUnavailable: it will answer again by itself.
    """
    version = begun.version
    if predicted.scores is None:
        if isinstance(predicted.problem, Passing):
            said = f"version {version.served.version} of {model!r}: {predicted.problem}"
            raise StoreUnavailable(said, "the same request may be answered in some seconds")
        raise TaskFailed(
            f"version {version.served.version} of {model!r} failed: {predicted.problem}",
            "roll the model back, or mend it",
        )
    outputs = version.model.target.answer(predicted.scores if predicted.raw is None else predicted.raw)
    form = version.model.outputs
    if begun.request.explain and version.model.explainer is not None:
        outputs, form = explained.with_reasons(version, predicted, outputs), version.model.explainer.form
    return Answer(version.served.version, version.served.cycle, begun.role, outputs, form)


def _too_far_ahead(event_time_us: int, now_us: int) -> BadRequest:
    at, now = (datetime.fromtimestamp(us // 1_000_000, UTC).isoformat() for us in (event_time_us, now_us))
    return BadRequest(
        f"parameter event_time: {at} is too far ahead: the server's clock says {now}",
        "send the instant at which it happened, a day after now at most, or none for now",
    )


def _choose(route: Route, request: InferRequest, version: str) -> tuple[Version, Role]:
    if not request.columns.keys() <= route.known:
        unknown = ", ".join(sorted(request.columns.keys() - route.known))
        raise BadRequest(f"the model takes no tensor {unknown}", route.stable.recipe.expected())
    if version:
        return route.named(version)
    keys = request.columns.get(route.key)
    if keys is None and request.wide:
        return route.choose(request.id)
    if keys is None:
        raise BadRequest(f"tensor {route.key!r} is missing", route.stable.recipe.expected())
    return route.choose(str(keys[0]))
