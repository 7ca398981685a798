"""Fake serving vendors that can do less, are slower or do more; each passes the kit as far as it claims.

Time is simulated: ``by`` gives a vendor a clock. Without one a minute passes with each look at an endpoint.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, ClassVar, Self

from pydantic import Field, PrivateAttr

from loopline.platform_core.contracts.serving import (
    CANARY,
    GRPC,
    IMAGES,
    SCALE_TO_ZERO,
    SHADOW,
    SPLIT,
    DesiredState,
    ObservedState,
    Served,
    ServerImages,
)
from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.testing.fakes.serving import InMemoryServing

START = datetime(2011, 3, 1, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class OneVersionServing(InMemoryServing):
    """Serves one version at a time: neither canary nor shadow nor anything else."""

    can: ClassVar[frozenset[str]] = frozenset()


class SplitServing(InMemoryServing):
    """Splits requests by chance, whoever asks, and replays none."""

    can: ClassVar[frozenset[str]] = frozenset({SPLIT})

    _chance: random.Random = PrivateAttr(default_factory=lambda: random.Random(1))

    def _takes(self, state: DesiredState, key: str) -> bool:  # noqa: ARG002 - whoever asks
        return self._chance.random() * 100 < state.percent


class SlowServing(InMemoryServing):
    """Takes ``minutes`` until a state is there, as managed endpoints do; what was asked later overtakes what waits.

    ``refused`` holds generations that fail half-way with a reason. It has no shadow.
    """

    can: ClassVar[frozenset[str]] = frozenset({CANARY})

    minutes: float = 2
    refused: dict[int, str] = Field(default_factory=dict)
    _clock: Callable[[], datetime] | None = PrivateAttr(default=None)
    _looks: int = PrivateAttr(default=0)
    _waiting: list[tuple[datetime, DesiredState]] = PrivateAttr(default_factory=list)
    _lock: Any = PrivateAttr(default_factory=threading.RLock)

    def by(self, clock: Callable[[], datetime]) -> Self:
        """Go by a clock, also in the log."""
        self._clock = clock
        return self

    def apply(self, state: DesiredState) -> None:
        """Take a state to be there later, unless a newer one was asked for."""
        self.require(state.needs, state.model)
        with self._lock:
            if state.generation >= self._asked.get(state.model, state.generation):
                self._asked[state.model] = state.generation
                self._waiting.append((self._now() + self._delay(), state))

    def observe(self, model: str) -> ObservedState:
        """Say what is there by now."""
        with self._lock:
            self._looks += 1
            self._arrive()
            return super().observe(model)

    def answer(
        self,
        model: str,
        key: str,
        scores: Mapping[str, float | None],
        latency_ms: float = 1.0,
        features: Mapping[str, float | str | None] | None = None,
    ) -> Served:
        """Answer with what is there by now."""
        with self._lock:
            self._arrive()
            return super().answer(model, key, scores, latency_ms, features)

    def _now(self) -> datetime:
        return self._clock() if self._clock else START + self._looks * MINUTE

    def _delay(self) -> timedelta:
        return self.minutes * MINUTE

    def _arrive(self) -> None:
        """Let what is due be there, oldest first; what is older than what is there comes too late."""
        now = self._now()
        due = sorted(((at, state) for at, state in self._waiting if at <= now), key=lambda one: one[0])
        self._waiting = [(at, state) for at, state in self._waiting if at > now]
        for _, state in due:
            there = self._states.get(state.model)
            if there is None or state.generation >= there.generation:
                self._settle(state)

    def _settle(self, state: DesiredState) -> None:
        if state.generation in self.refused:
            seen = self._seen.get(state.model, ObservedState(None, ready=False))
            problem = f"generation {state.generation}: {self.refused[state.generation]}"
            self._seen[state.model] = ObservedState(seen.generation, seen.ready, problem)
        else:
            self._land(state)


class UnorderedServing(SlowServing):
    """Gets states done in any order: some take three times as long as others, so that older ones come in late."""

    _turns: Iterator[int] = PrivateAttr(default_factory=count)

    def _delay(self) -> timedelta:
        return self.minutes * MINUTE * (1.0, 1.5, 1.0, 0.5)[next(self._turns) % 4]


class UnreachableServing(SlowServing):
    """Is out of reach at times: every other ``apply`` is not taken."""

    _calls: Iterator[int] = PrivateAttr(default_factory=lambda: count(1))

    def apply(self, state: DesiredState) -> None:
        """Take a state, or not."""
        if next(self._calls) % 2 == 0:
            raise StoreUnavailable("the endpoint's control plane did not answer", "call again")
        super().apply(state)


class ScalingServing(InMemoryServing):
    """Ends what is idle, and speaks gRPC; neither canary nor shadow."""

    can: ClassVar[frozenset[str]] = frozenset({SCALE_TO_ZERO, GRPC})

    _running: set[str] = PrivateAttr(default_factory=set)

    def answer(
        self,
        model: str,
        key: str,
        scores: Mapping[str, float | None],
        latency_ms: float = 1.0,
        features: Mapping[str, float | str | None] | None = None,
    ) -> Served:
        """Answer, started if need be."""
        self._running.add(model)
        return super().answer(model, key, scores, latency_ms, features)

    def idle(self, model: str) -> None:
        """End what answers for a model."""
        self._running.discard(model)

    def runs(self, model: str) -> bool:
        """Say whether anything of the endpoint runs."""
        return model in self._running

    def grpc_endpoint(self, model: str) -> str:
        """Return an address that nobody answers."""
        return f"in-memory:9000#{model}"


class ImagedServing(InMemoryServing):
    """Has servers of container images; while one of a candidate is there, it answers every second request.

    One of a ``broken`` image does not come to answer, one of a ``failing`` image answers with errors.
    """

    can: ClassVar[frozenset[str]] = frozenset({CANARY, SHADOW, IMAGES})

    image: str = "loopline:1"
    broken: frozenset[str] = frozenset()
    failing: frozenset[str] = frozenset()
    beside: frozenset[str] = frozenset()
    """Models that share their servers."""
    away: frozenset[str] = frozenset()
    """Images whose server is on its way to another node."""
    _images: dict[str, ServerImages] = PrivateAttr(default_factory=dict)

    def apply(self, state: DesiredState) -> None:
        """Take a state, and ask for the image."""
        super().apply(state)
        self._put(state.model, replace(self._of(state.model), wanted=self.image).asked())

    def images(self, model: str) -> ServerImages | None:
        """Say which image is on trial."""
        found = self._of(model)
        ready = found.ready and found.candidate not in self.away
        return replace(found, wanted=self.image, ready=ready) if model in self._states else None

    def settle_image(self, model: str, image: str, *, promote: bool) -> None:
        """End the trial."""
        self._put(model, self._of(model).settled(image, promote=promote))

    def retry_image(self, model: str) -> None:
        """Forget the image that was refused."""
        self._put(model, replace(self._of(model), refused=""))

    def answer(
        self,
        model: str,
        key: str,
        scores: Mapping[str, float | None],
        latency_ms: float = 1.0,
        features: Mapping[str, float | str | None] | None = None,
    ) -> Served:
        """Answer by a server of either image."""
        images, log = self._of(model), self._log.setdefault(model, [])
        before = len(log)
        image = images.candidate if images.ready and before % 2 else images.stable
        chosen = super().answer(model, key, {} if image in self.failing else scores, latency_ms, features)
        for row in log[before:]:
            row["image"] = image
        return chosen

    def _of(self, model: str) -> ServerImages:
        return next((self._images[one] for one in self.beside | {model} if one in self._images), self._fresh())

    def _fresh(self) -> ServerImages:
        return ServerImages(self.image, self.image)

    def _put(self, model: str, images: ServerImages) -> None:
        ready = bool(images.candidate) and images.candidate not in self.broken
        problem = "ImportError: no module of that name" if images.candidate in self.broken else ""
        shared = self.beside | {model}
        put = replace(
            images, ready=ready, problem=problem, models=frozenset(shared) if images.candidate else frozenset()
        )
        self._images.update(dict.fromkeys(shared, put))
