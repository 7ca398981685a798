"""The serving kit: the fake passes it, and it catches what breaks a promise."""

from __future__ import annotations

import itertools
from typing import ClassVar

import pytest
from pydantic import PrivateAttr

from platform_core.contracts.serving import DesiredState, ObservedState
from platform_core.errors import StoreUnavailable
from platform_core.testing import serving as kit
from platform_core.testing.fakes.serving import InMemoryServing
from platform_core.testing.model_packages import AMOUNT
from platform_core.testing.mutants import assert_catches
from platform_core.testing.serving import Answered, Ask, ServingKit

SCORES = {str(n): n / 10 for n in range(1, 10)}


def ask_in_memory(serving: InMemoryServing, model: str, key: str, amount: float) -> Answered:
    """Play a request, and take the answer from the newest row of the log."""
    try:
        serving.answer(model, key, SCORES, features={AMOUNT: amount})
    except StoreUnavailable:
        return Answered(503)
    row = serving._log[model][-1]
    return Answered(row["status"], row["request_id"], row["version"], row["role"], row["score"])


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """A state in memory is there at once or never."""
    monkeypatch.setattr(kit, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(kit, "SETTLED_SECONDS", 0.0)


class TestInMemoryServing(ServingKit):
    @pytest.fixture
    def serving(self) -> InMemoryServing:
        """A fresh one."""
        return InMemoryServing()

    @pytest.fixture
    def ask(self) -> Ask:
        """Ask without HTTP."""
        return ask_in_memory


class Undivided(InMemoryServing):
    """Honest: it cannot split, and says so."""

    can: ClassVar[frozenset[str]] = frozenset()


class Interrupting(InMemoryServing):
    """Breaks 1: the first request after a change is not answered."""

    _changed: bool = PrivateAttr(default=False)

    def apply(self, state: DesiredState) -> None:
        """Remember the change."""
        super().apply(state)
        self._changed = state.generation > 1

    def answer(self, *args, **kwargs):
        """Fail once."""
        if self._changed:
            self._changed = False
            raise StoreUnavailable("changing", "wait")
        return super().answer(*args, **kwargs)


class Stubborn(InMemoryServing):
    """Breaks 1: says that it came to a generation, and serves the first for ever."""

    def apply(self, state: DesiredState) -> None:
        """Take the first only."""
        if state.model not in self._states:
            super().apply(state)
        self._seen[state.model] = ObservedState(state.generation, ready=True)


class LastWins(InMemoryServing):
    """Breaks 2: whoever comes last is right."""

    def apply(self, state: DesiredState) -> None:
        """Forget what was asked before."""
        self._asked.pop(state.model, None)
        super().apply(state)


class Coin(InMemoryServing):
    """Breaks 3: the share is right, but the same key meets another version each time."""

    _calls: itertools.count = PrivateAttr(default_factory=itertools.count)

    def answer(self, model, key, *args, **kwargs):
        """Split by a number that nobody asks for."""
        return super().answer(model, f"{next(self._calls)}", *args, **kwargs)


class Reshuffling(InMemoryServing):
    """Breaks 3: sticky, but every percent has keys of its own."""

    def answer(self, model, key, *args, **kwargs):
        """Mix the percent into the key."""
        return super().answer(model, f"{key} {self._states[model].percent}", *args, **kwargs)


class StableOnly(InMemoryServing):
    """Breaks 3: nobody meets the candidate."""

    def apply(self, state: DesiredState) -> None:
        """Drop it."""
        super().apply(DesiredState(state.model, state.generation, state.stable))


class Swallowing(InMemoryServing):
    """Breaks 4: a broken version goes live."""

    def apply(self, state: DesiredState) -> None:
        """Take everything."""
        super().apply(state)
        self._states[state.model] = state


class Silent(InMemoryServing):
    """Breaks 4: keeps the old version, and says nothing."""

    def observe(self, model: str) -> ObservedState:
        """Hide the problem."""
        seen = super().observe(model)
        return ObservedState(seen.generation, seen.ready)


class Forgetting(InMemoryServing):
    """Breaks 4: has nothing to answer with after a broken version."""

    def apply(self, state: DesiredState) -> None:
        """Say that nothing is served."""
        super().apply(state)
        seen = self._seen[state.model]
        if seen.problem:
            self._seen[state.model] = ObservedState(None, ready=False, problem=seen.problem)


class Sampling(InMemoryServing):
    """Breaks 5: one answer in ten is not logged."""

    def predictions(self, model, after=None):
        """Leave rows out."""
        rows, cursor = super().predictions(model, after)
        return rows.take([n for n in range(len(rows)) if n % 10]), cursor


class Doubling(InMemoryServing):
    """Breaks 5: a row is there twice."""

    def predictions(self, model, after=None):
        """Repeat the first."""
        rows, cursor = super().predictions(model, after)
        return rows.take([0, *range(len(rows))]), cursor


class Featureless(InMemoryServing):
    """Breaks 5: the features as served are not kept."""

    def answer(self, model, key, scores, latency_ms=1.0, features=None):
        """Drop them."""
        return super().answer(model, key, scores, latency_ms)


class Misattributing(InMemoryServing):
    """Breaks 5: the log names the stable version for everything."""

    def predictions(self, model, after=None):
        """Overwrite version."""
        import pyarrow as pa

        rows, cursor = super().predictions(model, after)
        place = rows.schema.get_field_index("version")
        return rows.set_column(place, "version", pa.array(["1"] * len(rows))), cursor


class FromTheStart(InMemoryServing):
    """Breaks 6: the cursor is not looked at."""

    def predictions(self, model, after=None):
        """Read everything."""
        return super().predictions(model)


class Consuming(InMemoryServing):
    """Breaks 6: what was read is gone, so that an old cursor gives nothing."""

    def predictions(self, model, after=None):
        """Read once."""
        rows, cursor = super().predictions(model)
        self._log[model] = []
        return rows, cursor


class Pretending(InMemoryServing):
    """Breaks 7: cannot split, and takes a candidate all the same."""

    can: ClassVar[frozenset[str]] = frozenset()

    def apply(self, state: DesiredState) -> None:
        """Drop the candidate."""
        super().apply(DesiredState(state.model, state.generation, state.stable))


def test_a_vendor_that_cannot_split_says_so(tmp_path):
    """Promise 7 holds for the fake without canary."""
    ServingKit().test_7_a_candidate_needs_canary(Undivided(), tmp_path)


@pytest.mark.parametrize(
    ("mutant", "test"),
    [
        (Interrupting, "test_1_apply_brings_the_generation_without_a_failed_request"),
        (Stubborn, "test_1_apply_brings_the_generation_without_a_failed_request"),
        (LastWins, "test_2_an_older_generation_never_replaces_a_newer"),
        (Coin, "test_3_the_split_is_sticky_and_monotone"),
        (Reshuffling, "test_3_the_split_is_sticky_and_monotone"),
        (StableOnly, "test_3_the_split_is_sticky_and_monotone"),
        (Swallowing, "test_4_a_version_that_cannot_be_loaded_leaves_the_one_before"),
        (Silent, "test_4_a_version_that_cannot_be_loaded_leaves_the_one_before"),
        (Forgetting, "test_4_a_version_that_cannot_be_loaded_leaves_the_one_before"),
        (Sampling, "test_5_every_answered_request_is_logged_once"),
        (Doubling, "test_5_every_answered_request_is_logged_once"),
        (Featureless, "test_5_every_answered_request_is_logged_once"),
        (Misattributing, "test_5_every_answered_request_is_logged_once"),
        (FromTheStart, "test_6_a_cursor_gives_only_what_came_later"),
        (Consuming, "test_6_a_cursor_gives_only_what_came_later"),
        (Pretending, "test_7_a_candidate_needs_canary"),
    ],
)
def test_the_kit_catches(mutant, test, tmp_path):
    """A vendor that breaks one promise fails the promise's test."""
    fixtures = {"serving": mutant(), "ask": ask_in_memory, "tmp_path": tmp_path}
    if "canary" in test:
        del fixtures["ask"]
    assert_catches(ServingKit, test, **fixtures)
