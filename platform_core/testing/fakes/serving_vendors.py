"""Fake serving vendors that can do less, are slower or do more; each passes the kit as far as it claims.

Time is simulated: ``by`` gives a vendor a clock. Without one a minute passes with each look at an endpoint.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, ClassVar, Self

from pydantic import Field, PrivateAttr

from loopline.platform_core.contracts.serving import (
    CANARY,
    GRPC,
    SCALE_TO_ZERO,
    SPLIT,
    DesiredState,
    ObservedState,
    Served,
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
