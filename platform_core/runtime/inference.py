"""Answers a request: choose the version, gather, predict, log, and only then let the answer go."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from platform_core.clock import Clock, WallClock
from platform_core.errors import BadRequest, NotFound, StoreUnavailable, TaskFailed
from platform_core.runtime.batching import MOST_ROWS, Batcher
from platform_core.runtime.freshness import Freshness
from platform_core.runtime.log import Record
from platform_core.runtime.pace import THREADS
from platform_core.runtime.protocol import InferRequest
from platform_core.runtime.recipe import Found, Gathered
from platform_core.runtime.routes import Role, Route, Version

if TYPE_CHECKING:
    from platform_core.contracts.online_store import OnlineStore

Log = Callable[[str, Record], None]
"""Keeps the record of a request to the model named first; when it returns, the record is safe."""


@dataclass(frozen=True, slots=True)
class ModelState:
    """What is known of a model: its route once one is loaded, and why the newest state is not served (else "")."""

    route: Route | None = None
    problem: str = ""


class Answer(msgspec.Struct, frozen=True):
    """The outputs by name, one value a row, and who gave them."""

    version: str
    cycle: str
    role: Role
    outputs: Mapping[str, list[float]]


@dataclass(slots=True)
class Inference:
    """Every model of a worker; ``models`` entries are replaced as a whole, a request reads its entry once.

    While a request waits for the online store others go on; it keeps the version that it began with.
    """

    store: OnlineStore
    log: Log
    clock: Clock = field(default_factory=WallClock)
    models: dict[str, ModelState] = field(default_factory=dict)
    freshness: Freshness = field(default_factory=Freshness)
    most_rows: int = 10_000

    async def infer(self, model: str, request: InferRequest, version: str = "") -> Answer:
        """Answer a request.

        A request is answered by one version, chosen by the key of its first row, also when it asks for many rows.

        Raises:
            NotFound: the model or the version is unknown. StoreUnavailable: the model is still loading, or the online
            store or the log does not answer. BadRequest: tensors are missing or unknown.
            TaskFailed: the model raised; that is logged as status 500.
        """
        started, asked_at_us = time.perf_counter(), self.clock.now_us()
        if request.rows > self.most_rows:
            raise BadRequest(f"{request.rows} rows exceed {self.most_rows}", "ask for fewer rows at once", status=413)
        chosen, role = self._choose(self.route(model), request, version)
        if request.matrix is not None:
            request = chosen.recipe.complete(request)
        found = await chosen.recipe.look_up(request, self.store)
        event_time_us = asked_at_us if request.event_time_us is None else request.event_time_us
        said = await _said(chosen, request, found, event_time_us)
        self.freshness.count(model, said.gathered.uses)
        self.log(
            model,
            Record(
                request_id=request.id,
                event_time_us=event_time_us,
                logged_at_us=self.clock.now_us(),
                version=chosen.served.version,
                cycle=chosen.served.cycle,
                role=role,
                status=500 if said.scores is None else 200,
                latency_ms=(time.perf_counter() - started) * 1e3,
                scores=said.scores,
                keys=said.keys,
                features=said.gathered.features,
                missing=said.gathered.missing,
                stale=said.gathered.stale,
                asked_at_us=asked_at_us,
            ),
        )
        if said.scores is None:
            raise TaskFailed(
                f"version {chosen.served.version} of {model!r} failed: {said.problem}",
                "roll the model back, or mend it",
            )
        return Answer(chosen.served.version, chosen.served.cycle, role, _outputs(chosen, said.scores))

    def route(self, model: str) -> Route:
        """Return what answers for a model.

        Raises:
            NotFound: nobody asked for the model. StoreUnavailable: no version of it is loaded yet.
        """
        state = self.models.get(model)
        if state is None:
            raise NotFound(f"no model {model!r} is served", f"served are {', '.join(sorted(self.models)) or 'none'}")
        if state.route is None:
            raise StoreUnavailable(f"model {model!r} is not loaded: {state.problem or 'loading'}", "try again soon")
        return state.route

    @staticmethod
    def _choose(route: Route, request: InferRequest, version: str) -> tuple[Version, Role]:
        if not request.columns.keys() <= route.known:
            unknown = ", ".join(sorted(request.columns.keys() - route.known))
            raise BadRequest(f"the model takes no tensor {unknown}", route.stable.recipe.expected())
        if version:
            return route.named(version)
        keys = request.columns.get(route.key)
        if keys is None and request.matrix is not None:
            return route.choose(request.id)
        if keys is None:
            raise BadRequest(f"tensor {route.key!r} is missing", route.stable.recipe.expected())
        return route.choose(str(keys[0]))


class _Said(NamedTuple):
    """What a version made of a request; no scores when it failed."""

    gathered: Gathered
    keys: list[str]
    scores: list[float] | None
    problem: str


async def _said(version: Version, request: InferRequest, found: Sequence[Found], event_time_us: int) -> _Said:
    """Gather and predict: with what other requests ask, at once, or in a thread when it takes long."""
    model = version.model
    if model.batcher is not None and request.rows <= MOST_ROWS:
        gathered = version.recipe.gather(request, found, event_time_us)
        return _Said(gathered, version.recipe.keys(request), *await _predict_among(model.batcher, gathered))
    if request.rows <= model.inline_rows:
        return _say(version, request, found, event_time_us)
    run = asyncio.get_running_loop().run_in_executor
    return await run(THREADS, _say, version, request, found, event_time_us)


async def _predict_among(batcher: Batcher, gathered: Gathered) -> tuple[list[float] | None, str]:
    """Let the model answer for several requests at once; one that fails is its own failure, not the others'."""
    try:
        scores: list[float] = (await batcher(gathered.matrix)).tolist()
    except Exception as error:  # noqa: BLE001 - a model may raise anything
        return None, f"{type(error).__name__}: {error}"
    return _checked(scores)


def _say(version: Version, request: InferRequest, found: Sequence[Found], event_time_us: int) -> _Said:
    """Gather and predict, in the event loop or in a thread."""
    gathered = version.recipe.gather(request, found, event_time_us)
    return _Said(gathered, version.recipe.keys(request), *_predict(version, gathered))


def _predict(version: Version, gathered: Gathered) -> tuple[list[float] | None, str]:
    """Let the model answer; what it raises is its own failure and no reason to fall."""
    try:
        scores: list[float] = version.model.predict(gathered.matrix).tolist()
    except Exception as error:  # noqa: BLE001 - a model may raise anything
        return None, f"{type(error).__name__}: {error}"
    return _checked(scores)


def _checked(scores: list[float]) -> tuple[list[float] | None, str]:
    if not all(map(math.isfinite, scores)):
        return None, "a probability is no number"
    return scores, ""


def _outputs(version: Version, scores: list[float]) -> dict[str, list[float]]:
    threshold = version.model.manifest.threshold
    return {"probability": scores, "label": [int(score >= threshold) for score in scores]}
