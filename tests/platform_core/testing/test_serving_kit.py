"""The serving kit: the fake passes it, and it catches what breaks a promise."""

from __future__ import annotations

import inspect
from dataclasses import replace
from functools import partial
from itertools import count
from typing import ClassVar

import pyarrow as pa
import pytest
from pydantic import PrivateAttr

from loopline.platform_core.contracts.serving import SHADOW_ROLE, DesiredState, ObservedState
from loopline.platform_core.errors import StoreUnavailable, Unsupported
from loopline.platform_core.testing.fakes.serving import InMemoryServing
from loopline.platform_core.testing.fakes.serving_vendors import (
    ImagedServing,
    OneVersionServing,
    ScalingServing,
    SlowServing,
    SplitServing,
    UnorderedServing,
)
from loopline.platform_core.testing.parts import endpoints
from loopline.platform_core.testing.parts.endpoints import NO_ANSWER, Answered, Ask, Load
from loopline.platform_core.testing.parts.model_packages import AMOUNT
from loopline.platform_core.testing.parts.mutants import assert_catches
from loopline.platform_core.testing.serving import ServingKit
from loopline.platform_core.testing.serving_capabilities import Idle
from tests.platform_core.testing.mutant import mutant, pairs
from tests.waiting import until

ANOTHER = "loopline:2"
CALLS = count()
SCORES = {str(n): n / 10 for n in range(1, 10)}


def ask_in_memory(serving: InMemoryServing, model: str, key: str, amount: float) -> Answered:
    """Play a request, and take the answer from the newest row of the log that is a caller's."""
    try:
        serving.answer(model, key, SCORES, features={AMOUNT: amount})
    except StoreUnavailable:
        return Answered(503)
    row = next(row for row in reversed(serving._log[model]) if not is_shadow(row))
    return Answered(row["status"], row["request_id"], row["version"], row["role"], row["score"])


def is_shadow(row):
    """Say whether a row of the log is a shadow's."""
    return row["role"] == SHADOW_ROLE


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """A state in memory is there at once or never."""
    monkeypatch.setattr(endpoints, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(endpoints, "SETTLED_SECONDS", 0.0)


class InMemoryKit(ServingKit):
    made: ClassVar[type[InMemoryServing]]

    @pytest.fixture
    def serving(self) -> InMemoryServing:
        return self.made()

    @pytest.fixture
    def ask(self) -> Ask:
        return ask_in_memory

    @pytest.fixture
    def ask_grpc(self) -> Ask:
        return ask_in_memory

    @pytest.fixture
    def idle(self) -> Idle:
        return let_idle


def let_idle(serving: ScalingServing, model: str) -> None:
    """End what answers, which is there for certain only after a request."""
    serving.idle(model)
    assert not serving.runs(model)


class TestInMemoryServing(InMemoryKit):
    made = InMemoryServing


class TestOneVersionServing(InMemoryKit):
    """One that lacks everything."""

    made = OneVersionServing


class TestSlowServing(InMemoryKit):
    """One whose states are there two looks later."""

    made = SlowServing


class TestUnorderedServing(InMemoryKit):
    """One that overtakes itself."""

    made = UnorderedServing


class TestScalingServing(InMemoryKit):
    """One that ends what is idle, and speaks gRPC."""

    made = ScalingServing


class TestSplitServing(InMemoryKit):
    """One that splits requests by chance."""

    made = SplitServing


class TestImagedServing(InMemoryKit):
    """One whose servers run container images."""

    made = ImagedServing

    @pytest.fixture
    def another_image(self) -> str:
        return ANOTHER


class Changing(InMemoryServing):
    """Remembers that another version came."""

    _changed: bool = PrivateAttr(default=False)

    def apply(self, state):
        super().apply(state)
        self._changed = state.generation > 1


class Interrupting(Changing):
    """Breaks 1: the first request after a change is not answered."""

    def answer(self, *args, **kwargs):
        if self._changed:
            self._changed = False
            raise StoreUnavailable("changing", "wait")
        return super().answer(*args, **kwargs)


class Stubborn(InMemoryServing):
    """Breaks 1: says that it came to a generation, and serves the first for ever."""

    def apply(self, state):
        if state.model not in self._states:
            super().apply(state)
        self._seen[state.model] = ObservedState(state.generation, ready=True)


class LateWins(UnorderedServing):
    """Breaks 2: what was asked first and is done last stays."""

    def _arrive(self):
        now = self._now()
        for _, state in sorted((one for one in self._waiting if one[0] <= now), key=lambda one: one[0]):
            self._land(state)
        self._waiting = [one for one in self._waiting if one[0] > now]


class Forgetting(InMemoryServing):
    """Breaks 4: has nothing to answer with after a broken version."""

    def apply(self, state):
        super().apply(state)
        seen = self._seen[state.model]
        if seen.problem:
            self._seen[state.model] = ObservedState(None, ready=False, problem=seen.problem)


def read_otherwise(change):
    """Make a log of which other rows are read than are there."""

    def predictions(up, _, model, after=None):
        rows, cursor = up.predictions(model, after)
        return change(rows), cursor

    return predictions


def with_version(rows, version):
    """Put all down to one version."""
    return rows.set_column(rows.schema.get_field_index("version"), "version", pa.array([version] * len(rows)))


class Shrugging(OneVersionServing):
    """Breaks 7: refuses, and leaves it there."""

    def require(self, needs, model=""):
        try:
            super().require(needs, model)
        except Unsupported as error:
            raise Unsupported(error.problem, "do something else") from error


def afterwards(change):
    """Make an answer after which something else is done to the model's log."""

    def answer(up, serving, model, *args, **kwargs):
        chosen = up.answer(model, *args, **kwargs)
        change(serving._log[model], chosen)
        return chosen

    return answer


def write(wanted, **fields):
    """Write into those rows of a log that are wanted."""
    for row in wanted:
        row.update(fields)


class EagerShadow(InMemoryServing):
    """Breaks 8: what was answered before the shadow was asked for is replayed as well."""

    def apply(self, state):
        super().apply(state)
        if state.shadow:
            said = {"role": SHADOW_ROLE, "version": state.shadow.version, "cycle": state.shadow.cycle}
            self._log.setdefault(state.model, []).extend([row | said for row in self._log.get(state.model, [])])


class Sleeping(ScalingServing):
    """Breaks 9: the request that wakes it fails."""

    def answer(self, model, *args, **kwargs):
        if not self.runs(model):
            self._running.add(model)
            raise StoreUnavailable("starting", "ask again")
        return super().answer(model, *args, **kwargs)


class Gone(ScalingServing):
    """Breaks 9: an idle endpoint seems not to be there."""

    def observe(self, model):
        return super().observe(model) if self.runs(model) else ObservedState(None, ready=False)

    def apply(self, state):
        super().apply(state)
        self._running.add(state.model)


def alone(state):
    """Ask for the stable version only."""
    return DesiredState(state.model, state.generation, state.stable)


def shadow_of(serving, model):
    """Return the shadow that a model has."""
    return getattr(serving._states.get(model), "shadow", None)


def seen(observed):
    """Take the problem from what is observed."""
    return replace(observed, problem="")


bases = (InMemoryServing, ScalingServing, SplitServing, ImagedServing)
made, scaling, split, imaged = (partial(mutant, base) for base in bases)
one_version = partial(mutant, OneVersionServing)
CAUGHT = {
    "test_1_apply_brings_the_generation_without_a_failed_request": [Interrupting, Stubborn],
    "test_2_an_older_generation_never_replaces_a_newer": [
        # whoever comes last is right
        made("LastWins", apply=lambda up, own, state: (own._asked.pop(state.model, None), up.apply(state))),
        LateWins,
    ],
    "test_3_the_split_is_sticky_and_monotone": [
        # the share is right, but the same key meets another version each time
        made("Coin", answer=lambda up, _, m, _key, *a, **k: up.answer(m, f"{next(CALLS)}", *a, **k)),
        # sticky, but every percent has keys of its own
        made(
            "Reshuffling",
            answer=lambda up, own, m, key, *a, **k: up.answer(m, f"{key} {own._states[m].percent}", *a, **k),
        ),
        # nobody meets the candidate
        made("StableOnly", apply=lambda up, _, state: up.apply(alone(state))),
    ],
    "test_4_a_version_that_cannot_be_loaded_leaves_the_one_before": [
        # a broken version goes live
        made("Swallowing", apply=lambda up, own, state: (up.apply(state), own._states.update({state.model: state}))),
        # keeps the old version, and says nothing
        made("Silent", observe=lambda up, _, model: seen(up.observe(model))),
        Forgetting,
    ],
    "test_5_every_answered_request_is_logged_once": [
        # one answer in ten is not logged
        made("Sampling", predictions=read_otherwise(lambda rows: rows.take([n for n in range(len(rows)) if n % 10]))),
        # a row is there twice
        made("Doubling", predictions=read_otherwise(lambda rows: rows.take([0, *range(len(rows))]))),
        # the features as served are not kept
        made("Featureless", answer=lambda up, _, *args, features=None, **more: up.answer(*args, **more)),
        # the log names the stable version for everything
        made("Misattributing", predictions=read_otherwise(lambda rows: with_version(rows, "1"))),
    ],
    "test_6_a_cursor_gives_only_what_came_later": [
        # the cursor is not looked at
        made("FromTheStart", predictions=lambda up, _, model, after=None: up.predictions(model)),
        # what was read is gone, so that an old cursor gives nothing
        made("Consuming", predictions=lambda up, own, m, _after=None: (up.predictions(m), own._log.update({m: []}))[0]),
        # the end that it tells is the one of before, so that what was logged last comes again
        made("BeforeTheEnd", end=lambda _up, _, _model, after=None: after or "0"),
        # the end that it tells lies behind what is logged next, which nobody ever reads
        made("BehindTheEnd", end=lambda up, _, model, after=None: str(int(up.end(model, after)) + 1)),
    ],
    "test_7_what_a_vendor_cannot_do_is_unsupported": [
        # can do nothing more, and takes every state all the same
        one_version("Pretending", apply=lambda up, _, state: up.apply(alone(state))),
        Shrugging,
        # refuses after it has taken what it could
        one_version("HalfRefusing", apply=lambda up, own, s: (up.apply(alone(s)), own.require(s.needs))),
        # names a gRPC endpoint that is not there
        one_version("AlwaysGrpc", grpc_endpoint=lambda _up, _, _model: "localhost:9000"),
    ],
    "test_8_each_answered_request_is_replayed_once": [
        # takes the shadow, and replays nothing
        made("NoShadow", apply=lambda up, _, state: up.apply(replace(state, shadow=None))),
        # a request is replayed twice
        made("TwiceShadow", answer=afterwards(lambda log, _: log.extend(map(dict, filter(is_shadow, log[-1:]))))),
        # a caller in four meets the shadow
        made(
            "AnsweringShadow",
            apply=lambda up, _, s: up.apply(replace(s, candidate=s.shadow, percent=25) if s.shadow else s),
        ),
        # the shadow is given features of its own
        made("OtherFeatures", answer=afterwards(lambda log, _: write(filter(is_shadow, log), features="{}"))),
        # what the shadow said is put down to the stable version
        made("NamelessShadow", answer=afterwards(lambda log, chosen: write(log, version=chosen.version))),
        # a shadow that was taken away goes on
        made(
            "EternalShadow", apply=lambda up, own, s: up.apply(replace(s, shadow=s.shadow or shadow_of(own, s.model)))
        ),
        EagerShadow,
    ],
    "test_8_a_shadow_that_cannot_be_loaded_is_told": [
        made("SilentShadow", observe=lambda up, _, model: seen(up.observe(model))),
        # it keeps the endpoint back: it is loaded as if it answered callers
        made("BlockingShadow", apply=lambda up, _, state: up.apply(replace(state, candidate=state.shadow))),
    ],
    "test_9_an_idle_endpoint_answers_the_next_request": [Sleeping, Gone],
    "test_10_grpc_gives_the_same_answer": [
        # what is asked over gRPC is logged twice
        scaling("OtherWay", answer=afterwards(lambda log, _: log.extend(log[1:]))),
        # over gRPC another version answers
        scaling("OtherScore", answer=afterwards(lambda log, _: write(log[1:], score=0.9))),
    ],
    "test_11_what_each_version_answered_is_replayed_through_the_other": [
        # what the candidate answered is replayed through nothing
        made("OneWay", apply=lambda up, _, s: up.apply(replace(s, paired=False, shadow=s.candidate))),
        # a version is given what it answered itself
        made("ItsOwn", answer=afterwards(lambda log, _: log.append(log[-2] | {"role": SHADOW_ROLE}))),
        # scores of the replay are those of the version that answered
        made("Crossed", answer=afterwards(lambda log, _: write(log[-1:], score=log[-2]["score"]))),
    ],
    "test_12_a_split_by_chance_takes_its_share": [
        # the candidate answers nobody
        split("Unshared", _takes=lambda _up, _, _state, _key: False),
        # who asks decides, so that one entity meets one version alone
        split("ByEntity", _takes=lambda _up, own, state, key: InMemoryServing._takes(own, state, key)),
    ],
    "test_13_a_new_image_answers_beside_the_one_before": [
        # replaces all servers at once
        imaged("AtOnce", apply=lambda up, own, s: (up.apply(s), own.settle_image(s.model, own.image, promote=True))),
        # the image that was refused is asked for again by itself
        imaged("Stubborn", apply=lambda up, own, s: (own.retry_image(s.model), up.apply(s))),
        # a server that is taken back goes on
        imaged("Eternal", settle_image=lambda up, _, m, image, promote: up.settle_image(m, image, promote=True)),
        # whatever is settled is the candidate
        imaged("Unasked", settle_image=lambda up, own, m, _i, promote: up.settle_image(m, own.image, promote=promote)),
        # rows do not say who answered
        imaged("Nameless", answer=afterwards(lambda log, _: write(log, image=None))),
        # nobody meets the candidate
        imaged("Unasked", answer=afterwards(lambda log, _: write(log[-1:], image="loopline:1"))),
        # callers are answered with errors while another server comes
        imaged("Failing", answer=lambda up, own, m, k, s, *a, **o: up.answer(m, k, {} if own._of(m).candidate else s)),
    ],
}


@pytest.mark.parametrize(("mutant", "test"), pairs(CAUGHT))
def test_the_kit_catches(mutant, test, tmp_path):
    """A vendor that breaks one promise fails the promise's test."""
    possible = {"serving": mutant(), "ask": ask_in_memory, "ask_grpc": ask_in_memory, "idle": let_idle}
    possible["another_image"] = ANOTHER
    wanted = inspect.signature(getattr(ServingKit, test)).parameters
    assert_catches(ServingKit, test, **{name: possible[name] for name in wanted if name in possible}, tmp_path=tmp_path)


def test_the_kit_asks_how_endpoints_become_idle(tmp_path):
    """A vendor that claims to scale to zero and does not say how is not let through."""
    idle = ServingKit.idle.__wrapped__(ServingKit())
    with pytest.raises(pytest.fail.Exception, match="give the fixture idle"):
        idle(ScalingServing(), "m")


def ask_what_breaks(serving, model, key, amount):
    """Ask where a version changed, and a connection breaks under the request."""
    if serving._changed:
        serving._changed = False
        raise ConnectionResetError("reset by peer")
    return ask_in_memory(serving, model, key, amount)


def test_a_request_whose_connection_broke_has_failed(tmp_path):
    """And the next one is asked all the same: who asks does not end with it."""
    test = "test_1_apply_brings_the_generation_without_a_failed_request"
    assert_catches(ServingKit, test, serving=Changing(), ask=ask_what_breaks, tmp_path=tmp_path)
    asked = count()

    def ask(*_):
        if not next(asked):
            raise ConnectionResetError("reset by peer")
        return Answered(200)

    with Load(InMemoryServing(), ask, "m") as load:
        until(lambda: len(load.answers) >= 3, every=0.001)
    assert [answer.status for answer in load.answers[:3]] == [NO_ANSWER, 200, 200]
    assert "reset by peer" in load.answers[0].problem
