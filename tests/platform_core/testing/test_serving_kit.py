"""The serving kit: the fake passes it, and it catches what breaks a promise."""

from __future__ import annotations

import inspect
import itertools
import time
from dataclasses import replace

import pytest
from pydantic import PrivateAttr

from loopline.platform_core.contracts.serving import SHADOW_ROLE, DesiredState, ObservedState
from loopline.platform_core.errors import StoreUnavailable, Unsupported
from loopline.platform_core.testing import endpoints
from loopline.platform_core.testing.endpoints import NO_ANSWER, Answered, Ask, Load
from loopline.platform_core.testing.fakes.serving import InMemoryServing
from loopline.platform_core.testing.fakes.serving_vendors import (
    OneVersionServing,
    ScalingServing,
    SlowServing,
    SplitServing,
    UnorderedServing,
)
from loopline.platform_core.testing.model_packages import AMOUNT
from loopline.platform_core.testing.mutants import assert_catches
from loopline.platform_core.testing.serving import ServingKit
from loopline.platform_core.testing.serving_capabilities import Idle

SCORES = {str(n): n / 10 for n in range(1, 10)}


def ask_in_memory(serving: InMemoryServing, model: str, key: str, amount: float) -> Answered:
    """Play a request, and take the answer from the newest row of the log that is a caller's."""
    try:
        serving.answer(model, key, SCORES, features={AMOUNT: amount})
    except StoreUnavailable:
        return Answered(503)
    row = next(row for row in reversed(serving._log[model]) if row["role"] != SHADOW_ROLE)
    return Answered(row["status"], row["request_id"], row["version"], row["role"], row["score"])


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """A state in memory is there at once or never."""
    monkeypatch.setattr(endpoints, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(endpoints, "SETTLED_SECONDS", 0.0)


class InMemoryKit(ServingKit):
    @pytest.fixture
    def ask(self) -> Ask:
        """Ask without HTTP."""
        return ask_in_memory

    @pytest.fixture
    def ask_grpc(self) -> Ask:
        """Ask without gRPC."""
        return ask_in_memory

    @pytest.fixture
    def idle(self) -> Idle:
        """End what answers."""
        return let_idle


def let_idle(serving: ScalingServing, model: str) -> None:
    """End what answers, which is there for certain only after a request."""
    serving.idle(model)
    assert not serving.runs(model)


class TestInMemoryServing(InMemoryKit):
    @pytest.fixture
    def serving(self) -> InMemoryServing:
        """A fresh one."""
        return InMemoryServing()


class TestOneVersionServing(InMemoryKit):
    @pytest.fixture
    def serving(self) -> InMemoryServing:
        """One that lacks everything."""
        return OneVersionServing()


class TestSlowServing(InMemoryKit):
    @pytest.fixture
    def serving(self) -> InMemoryServing:
        """One whose states are there two looks later."""
        return SlowServing()


class TestUnorderedServing(InMemoryKit):
    @pytest.fixture
    def serving(self) -> InMemoryServing:
        """One that overtakes itself."""
        return UnorderedServing()


class TestScalingServing(InMemoryKit):
    @pytest.fixture
    def serving(self) -> InMemoryServing:
        """One that ends what is idle, and speaks gRPC."""
        return ScalingServing()


class TestSplitServing(InMemoryKit):
    @pytest.fixture
    def serving(self) -> InMemoryServing:
        """One that splits requests by chance."""
        return SplitServing()


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


class BeforeTheEnd(InMemoryServing):
    """Breaks 6: the end that it tells is the one of before, so that what was logged last comes again."""

    def end(self, model, after=None):
        """Stay where the cursor is."""
        return after or "0"


class BehindTheEnd(InMemoryServing):
    """Breaks 6: the end that it tells lies behind what is logged next, which nobody ever reads."""

    def end(self, model, after=None):
        """Go too far."""
        return str(int(super().end(model, after)) + 1)


class LateWins(UnorderedServing):
    """Breaks 2: what was asked first and is done last stays."""

    def _arrive(self) -> None:
        """Let everything be there, whatever is there already."""
        now = self._now()
        for _, state in sorted((one for one in self._waiting if one[0] <= now), key=lambda one: one[0]):
            self._land(state)
        self._waiting = [one for one in self._waiting if one[0] > now]


class Pretending(OneVersionServing):
    """Breaks 7: can do nothing more, and takes every state all the same."""

    def apply(self, state: DesiredState) -> None:
        """Drop what it cannot do."""
        super().apply(DesiredState(state.model, state.generation, state.stable))


class Shrugging(OneVersionServing):
    """Breaks 7: refuses, and leaves it there."""

    def require(self, needs, model="") -> None:
        """Say no more than no."""
        try:
            super().require(needs, model)
        except Unsupported as error:
            raise Unsupported(error.problem, "do something else") from error


class HalfRefusing(OneVersionServing):
    """Breaks 7: refuses after it has taken what it could."""

    def apply(self, state: DesiredState) -> None:
        """Take the stable version, then refuse."""
        super().apply(DesiredState(state.model, state.generation, state.stable))
        self.require(state.needs)


class AlwaysGrpc(OneVersionServing):
    """Breaks 7: names a gRPC endpoint that is not there."""

    def grpc_endpoint(self, model: str) -> str:
        """Return something."""
        return "localhost:9000"


class NoShadow(InMemoryServing):
    """Breaks 8: takes the shadow, and replays nothing."""

    def apply(self, state: DesiredState) -> None:
        """Drop it."""
        super().apply(replace(state, shadow=None))


class TwiceShadow(InMemoryServing):
    """Breaks 8: a request is replayed twice."""

    def answer(self, model, *args, **kwargs):
        """Repeat what the shadow said."""
        chosen = super().answer(model, *args, **kwargs)
        self._log[model] += [dict(row) for row in self._log[model][-1:] if row["role"] == SHADOW_ROLE]
        return chosen


class AnsweringShadow(InMemoryServing):
    """Breaks 8: a caller in four meets the shadow."""

    def apply(self, state: DesiredState) -> None:
        """Let the shadow answer as a candidate."""
        super().apply(replace(state, candidate=state.shadow, percent=25) if state.shadow else state)


class OtherFeatures(InMemoryServing):
    """Breaks 8: the shadow is given features of its own."""

    def answer(self, model, *args, **kwargs):
        """Replace what the shadow was given."""
        chosen = super().answer(model, *args, **kwargs)
        for row in self._log[model]:
            if row["role"] == SHADOW_ROLE:
                row["features"] = "{}"
        return chosen


class NamelessShadow(InMemoryServing):
    """Breaks 8: what the shadow said is put down to the stable version."""

    def answer(self, model, *args, **kwargs):
        """Overwrite the version."""
        chosen = super().answer(model, *args, **kwargs)
        for row in self._log[model]:
            row["version"] = chosen.version
        return chosen


class EternalShadow(InMemoryServing):
    """Breaks 8: a shadow that was taken away goes on."""

    def apply(self, state: DesiredState) -> None:
        """Keep the one before."""
        before = self._states.get(state.model)
        super().apply(replace(state, shadow=state.shadow or (before.shadow if before else None)))


class EagerShadow(InMemoryServing):
    """Breaks 8: what was answered before the shadow was asked for is replayed as well."""

    def apply(self, state: DesiredState) -> None:
        """Repeat the past."""
        super().apply(state)
        if state.shadow:
            said = {"role": SHADOW_ROLE, "version": state.shadow.version, "cycle": state.shadow.cycle}
            self._log.setdefault(state.model, []).extend([row | said for row in self._log.get(state.model, [])])


class SilentShadow(InMemoryServing):
    """Breaks 8: a shadow that cannot be loaded is not told of."""

    def observe(self, model: str) -> ObservedState:
        """Hide the problem."""
        return replace(super().observe(model), problem="")


class BlockingShadow(InMemoryServing):
    """Breaks 8: a shadow that cannot be loaded keeps the endpoint back."""

    def apply(self, state: DesiredState) -> None:
        """Load it as if it answered callers."""
        super().apply(replace(state, candidate=state.shadow))


class Sleeping(ScalingServing):
    """Breaks 9: the request that wakes it fails."""

    def answer(self, model, *args, **kwargs):
        """Start, and let the caller come again."""
        if not self.runs(model):
            self._running.add(model)
            raise StoreUnavailable("starting", "ask again")
        return super().answer(model, *args, **kwargs)


class Gone(ScalingServing):
    """Breaks 9: an idle endpoint seems not to be there."""

    def observe(self, model: str) -> ObservedState:
        """See only what runs."""
        return super().observe(model) if self.runs(model) else ObservedState(None, ready=False)

    def apply(self, state: DesiredState) -> None:
        """Run at once."""
        super().apply(state)
        self._running.add(state.model)


class OtherWay(ScalingServing):
    """Breaks 10: what is asked over gRPC is logged twice."""

    def answer(self, model, *args, **kwargs):
        """Log the second request again."""
        chosen = super().answer(model, *args, **kwargs)
        self._log[model] += self._log[model][1:]
        return chosen


class OtherScore(ScalingServing):
    """Breaks 10: over gRPC another version answers."""

    def answer(self, model, *args, **kwargs):
        """Change the second answer."""
        chosen = super().answer(model, *args, **kwargs)
        for row in self._log[model][1:]:
            row["score"] = 0.9
        return chosen


class OneWay(InMemoryServing):
    """Breaks 11: what the candidate answered is replayed through nothing."""

    def apply(self, state: DesiredState) -> None:
        """Make a shadow of the candidate."""
        super().apply(replace(state, paired=False, shadow=state.candidate))


class ItsOwn(InMemoryServing):
    """Breaks 11: a version is given what it answered itself."""

    def answer(self, model, *args, **kwargs):
        """Repeat the answer."""
        chosen = super().answer(model, *args, **kwargs)
        self._log[model].append(self._log[model][-2] | {"role": SHADOW_ROLE})
        return chosen


class Crossed(InMemoryServing):
    """Breaks 11: scores of the replay are those of the version that answered."""

    def answer(self, model, *args, **kwargs):
        """Copy the score."""
        chosen = super().answer(model, *args, **kwargs)
        self._log[model][-1]["score"] = self._log[model][-2]["score"]
        return chosen


class Unshared(SplitServing):
    """Breaks 12: the candidate answers nobody."""

    def _takes(self, state, key):
        return False


class ByEntity(SplitServing):
    """Breaks 12: who asks decides, so that one entity meets one version alone."""

    def _takes(self, state, key):
        return InMemoryServing._takes(self, state, key)


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
        (BeforeTheEnd, "test_6_a_cursor_gives_only_what_came_later"),
        (BehindTheEnd, "test_6_a_cursor_gives_only_what_came_later"),
        (LateWins, "test_2_an_older_generation_never_replaces_a_newer"),
        (Pretending, "test_7_what_a_vendor_cannot_do_is_unsupported"),
        (Shrugging, "test_7_what_a_vendor_cannot_do_is_unsupported"),
        (HalfRefusing, "test_7_what_a_vendor_cannot_do_is_unsupported"),
        (AlwaysGrpc, "test_7_what_a_vendor_cannot_do_is_unsupported"),
        (NoShadow, "test_8_each_answered_request_is_replayed_once"),
        (TwiceShadow, "test_8_each_answered_request_is_replayed_once"),
        (AnsweringShadow, "test_8_each_answered_request_is_replayed_once"),
        (OtherFeatures, "test_8_each_answered_request_is_replayed_once"),
        (NamelessShadow, "test_8_each_answered_request_is_replayed_once"),
        (EternalShadow, "test_8_each_answered_request_is_replayed_once"),
        (EagerShadow, "test_8_each_answered_request_is_replayed_once"),
        (SilentShadow, "test_8_a_shadow_that_cannot_be_loaded_is_told"),
        (BlockingShadow, "test_8_a_shadow_that_cannot_be_loaded_is_told"),
        (Sleeping, "test_9_an_idle_endpoint_answers_the_next_request"),
        (Gone, "test_9_an_idle_endpoint_answers_the_next_request"),
        (OtherWay, "test_10_grpc_gives_the_same_answer"),
        (OtherScore, "test_10_grpc_gives_the_same_answer"),
        (OneWay, "test_11_what_each_version_answered_is_replayed_through_the_other"),
        (ItsOwn, "test_11_what_each_version_answered_is_replayed_through_the_other"),
        (Crossed, "test_11_what_each_version_answered_is_replayed_through_the_other"),
        (Unshared, "test_12_a_split_by_chance_takes_its_share"),
        (ByEntity, "test_12_a_split_by_chance_takes_its_share"),
    ],
)
def test_the_kit_catches(mutant, test, tmp_path):
    """A vendor that breaks one promise fails the promise's test."""
    possible = {"serving": mutant(), "ask": ask_in_memory, "ask_grpc": ask_in_memory, "idle": let_idle}
    wanted = inspect.signature(getattr(ServingKit, test)).parameters
    assert_catches(ServingKit, test, **{name: possible[name] for name in wanted if name in possible}, tmp_path=tmp_path)


def test_the_kit_asks_how_endpoints_become_idle(tmp_path):
    """A vendor that claims to scale to zero and does not say how is not let through."""
    idle = ServingKit.idle.__wrapped__(ServingKit())
    with pytest.raises(pytest.fail.Exception, match="give the fixture idle"):
        idle(ScalingServing(), "m")


class Breaking(InMemoryServing):
    """Breaks 1: where a version changes, a connection breaks under a request."""

    _changed: bool = PrivateAttr(default=False)

    def apply(self, state):
        """Remember that something changed."""
        super().apply(state)
        self._changed = state.generation > 1


def ask_what_breaks(serving, model, key, amount):
    """Ask once more than the connection holds."""
    if serving._changed:
        serving._changed = False
        raise ConnectionResetError("reset by peer")
    return ask_in_memory(serving, model, key, amount)


def test_a_request_whose_connection_broke_has_failed(tmp_path):
    """And the next one is asked all the same: who asks does not end with it."""
    test = "test_1_apply_brings_the_generation_without_a_failed_request"
    assert_catches(ServingKit, test, serving=Breaking(), ask=ask_what_breaks, tmp_path=tmp_path)
    asked = itertools.count()

    def ask(*_):
        if not next(asked):
            raise ConnectionResetError("reset by peer")
        return Answered(200)

    with Load(InMemoryServing(), ask, "m") as load:
        while len(load.answers) < 3:
            time.sleep(0.001)
    assert [answer.status for answer in load.answers[:3]] == [NO_ANSWER, 200, 200]
    assert "reset by peer" in load.answers[0].problem
