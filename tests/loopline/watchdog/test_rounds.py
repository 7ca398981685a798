"""A round raises what is found, clears what is over, is patient with what mends itself, and outlives its own looks."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from pydantic import Field
from sqlalchemy.exc import DataError

from loopline.platform_core.alarms import Alarm, standing
from loopline.platform_core.alarms.watchdog_heartbeat import FILE
from loopline.platform_core.contracts.serving import ObservedState, Served
from loopline.platform_core.environment import Environment
from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Drift
from loopline.platform_core.testing.fakes.notifier import InMemoryNotifier
from loopline.platform_core.testing.fakes.serving import InMemoryServing
from loopline.watchdog.assembly import watchdog
from loopline.watchdog.look import Bounds, Look, Looked
from loopline.watchdog.loop_looks import LoopLooks
from loopline.watchdog.rounds import Watchdog

NOW = datetime.now(UTC)
ROSES, TULIPS = ModelRef("garden", "roses"), ModelRef("garden", "tulips")


class Moody(InMemoryServing):
    """An endpoint of which some models are not ready."""

    unready: set[str] = Field(default_factory=set)

    def observe(self, model: str) -> ObservedState:
        """Say so."""
        return ObservedState(1, model not in self.unready, "it warms up" if model in self.unready else "")


@pytest.fixture
def notifier() -> InMemoryNotifier:
    """Whom the watchdog tells."""
    return InMemoryNotifier(name="test")


@pytest.fixture
def platform(tmp_path: Path, notifier: InMemoryNotifier) -> Iterator[Platform]:
    """A platform of ledger, endpoint and notifier."""
    url = f"sqlite:///{tmp_path}/ledger.db"
    bound = Environment("test", tmp_path / "e", {"serving": Moody()}, url, None, tmp_path, notifiers={"test": notifier})
    opened = Platform(bound)
    yield opened
    opened.close()


class Scene:
    """A look whose findings the test sets."""

    def __init__(self) -> None:
        self.shows: Looked | Exception = Looked()

    def __call__(self) -> Looked:
        if isinstance(self.shows, Exception):
            raise self.shows
        return self.shows


def alarm(cause: str) -> Alarm:
    """Make an alarm."""
    return Alarm(cause, "error", f"{cause} is wrong", "mend it")


def dog(platform: Platform, scene: Scene, patience: float = 0, **look: object) -> Watchdog:
    """Make a watchdog with one look."""
    return Watchdog(platform, [Look("scene", scene, ("a:", "b:"), **look)], Bounds(patience=patience), lambda _: None)


def finds(cause: str) -> Look:
    """Make a look that finds one thing wrong."""
    return Look("finds", lambda: Looked((alarm(cause),)), (cause,), patient=False)


def causes(platform: Platform) -> list[str]:
    """Return what stands."""
    return [one.alarm.cause for one in standing(platform.ledger)]


def titles(notifier: InMemoryNotifier) -> list[str]:
    """Return first lines."""
    return [text.splitlines()[0] for _, text in notifier.inbox]


def test_found_raised_told_and_over(platform, notifier):
    """One message when it is found, none while it stands, one when it is found no more."""
    scene = Scene()
    watch = dog(platform, scene)
    for shows in (Looked((alarm("a:1"),)), Looked((alarm("a:1"),)), Looked(), Looked()):
        scene.shows = shows
        watch.round()
    assert titles(notifier) == ["[error] a:1 is wrong", "[over] a:1 is wrong"]


def test_what_mends_itself_soon_is_no_alarm(platform, notifier, monkeypatch):
    """Within the patience it may come back; what goes and comes begins anew."""
    clock = [0.0]
    monkeypatch.setattr("loopline.watchdog.rounds.time.monotonic", lambda: clock[0])
    scene = Scene()
    watch = dog(platform, scene, patience=30)
    for moment, shows in ((0, "a:1"), (20, ""), (25, "a:1"), (50, "a:1")):
        clock[0], scene.shows = moment, Looked((alarm(shows),) if shows else ())
        watch.round()
    assert causes(platform) == []
    clock[0] = 56
    watch.round()
    assert causes(platform) == ["a:1"]
    hurried = dog(platform, scene, patience=30, patient=False)
    scene.shows = Looked((alarm("a:2"), alarm("a:1")))
    hurried.round()
    assert causes(platform) == ["a:1", "a:2"]


def test_what_cannot_be_seen_stays_as_it_is(platform, notifier):
    """A web server that is away makes nothing over, and nothing wrong."""
    scene = Scene()
    watch = dog(platform, scene)
    scene.shows = Looked((alarm("a:1"), alarm("b:1"), alarm("b:2")))
    watch.round()
    for shows in (StoreUnavailable("away", "wait"), Looked(unknown=frozenset({"a:1"}), blind=("b:",))):
        scene.shows = shows
        watch.round()
        assert causes(platform) == ["a:1", "b:1", "b:2"]
    scene.shows = Looked(blind=("b:2",))
    watch.round()
    assert causes(platform) == ["b:2"]


def test_others_alarms_are_none_of_its_business(platform):
    """A look clears only what it owns."""
    from loopline.platform_core.alarms import raise_alarm

    raise_alarm(platform, alarm("drift:garden/roses"))
    dog(platform, Scene()).round()
    assert causes(platform) == ["drift:garden/roses"]


def test_a_look_with_a_defect_is_an_alarm_and_ends_nothing(platform):
    """The watchdog goes on, and says that it is blind there; that is over when it sees again."""
    scene = Scene()
    watch = dog(platform, scene)
    scene.shows = KeyError("renamed")
    watch.round()
    (one,) = standing(platform.ledger)
    assert (one.alarm.cause, one.alarm.severity) == ("watchdog:scene", "warning")
    scene.shows = Looked()
    watch.round()
    assert causes(platform) == []


def test_costly_looks_take_turns(platform, monkeypatch):
    """A look whose turn it is every third round is asked so often; the clock stands, so that none took long."""
    monkeypatch.setattr("loopline.watchdog.rounds.time.monotonic", lambda: 0.0)
    asked = []
    look = Look("seldom", lambda: asked.append(1) or Looked(), ("a:",), every=3)
    watch = Watchdog(platform, [look], Bounds(), lambda _: None)
    for _ in range(7):
        watch.round()
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("every", "sees", "asked"),
    [
        (2, Looked(), 2),
        (2, StoreUnavailable("away", "wait"), 4),
        (2, Looked(blind=("a:cut",)), 2),
        (1, Looked(), 8),
    ],
)
def test_a_costly_look_that_takes_long_rests(platform, monkeypatch, every, sees, asked):
    """A twentieth of the time at most goes into it, also when it saw only part; one that failed is soon tried again."""
    clock, looked = [0.0], []
    monkeypatch.setattr("loopline.watchdog.rounds.time.monotonic", lambda: clock[0])

    def slow() -> Looked:
        looked.append(clock[0])
        clock[0] += 3.5
        if isinstance(sees, Exception):
            raise sees
        return sees

    watch = Watchdog(platform, [Look("slow", slow, ("a:",), every=every)], Bounds(), lambda _: None)
    for _ in range(8):
        watch.round()
        clock[0] += 15
    assert len(looked) == asked


def test_a_new_watchdog_goes_on_where_the_last_one_ended(platform, notifier):
    """What stood is not told again, and what is well now is over."""
    scene = Scene()
    scene.shows = Looked((alarm("a:1"), alarm("a:2")))
    dog(platform, scene).round()
    scene.shows = Looked((alarm("a:1"),))
    dog(platform, scene).round()
    assert titles(notifier) == ["[error] a:1 is wrong", "[error] a:2 is wrong", "[over] a:2 is wrong"]


def test_it_leaves_a_note_that_it_lives(platform):
    """And ends when told to, between rounds."""
    stop = Event()
    watch = Watchdog(platform, [Look("x", lambda: stop.set() or Looked(), ())], Bounds(), lambda _: None)
    watch.run(stop, interval_seconds=60)
    note = json.loads((platform.home / FILE).read_text())
    assert datetime.now(UTC) - datetime.fromisoformat(note["at"]) < timedelta(seconds=30)
    assert note["rounds"] == 1


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (StoreUnavailable("the ledger did not answer", "wait"), "the ledger did not answer"),
        (OSError(errno.EROFS, "Read-only file system"), "OSError: [Errno 30] Read-only file system"),
        (DataError("update alarms set problem", {"problem": "s3cr"}, ValueError("too long")), "(builtins.ValueError)"),
    ],
)
def test_a_ledger_that_is_away_for_a_round(platform, monkeypatch, raised, expected):
    """The round fails, the watchdog does not; what was to be written is not said."""
    stop, said, rounds = Event(), [], []

    def away(*_):
        rounds.append(1)
        if len(rounds) == 2:
            stop.set()
        raise raised

    monkeypatch.setattr("loopline.watchdog.rounds.deliver", away)
    Watchdog(platform, [], Bounds(), said.append).run(stop, 0)
    assert len(said) == len(rounds) == 2
    assert expected in said[0]
    assert "s3cr" not in said[0]


def test_a_home_that_cannot_be_written(platform, notifier, monkeypatch):
    """People are told all the same, round by round, also by a watchdog of a timer; that no word is left is said."""
    stop, said = Event(), []

    def full(path, content):
        if len(said) > 3:
            stop.set()
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("loopline.platform_core.foundation.files.write", full)
    watch = Watchdog(platform, [finds("a:1")], Bounds(), said.append)
    watch.run(stop, 0)
    assert watch.rounds > 1
    assert watch.round() == []
    assert titles(notifier) == ["[error] a:1 is wrong"]
    assert f"cannot leave word of this round in {platform.home / FILE}: OSError: [Errno 28] No space" in said[-1]


def test_a_log_that_cannot_be_written(platform, notifier):
    """Neither does the watchdog end, nor is its round cut off before people are told."""
    stop = Event()

    def full(_):
        stop.set()
        raise OSError(errno.ENOSPC, "No space left on device")

    Watchdog(platform, [finds("a:1")], Bounds(), full).run(stop, 0)
    assert titles(notifier) == ["[error] a:1 is wrong"]
    assert (platform.home / FILE).exists()


def deployed(platform: Platform, ref: ModelRef) -> None:
    """Let a version of a model answer."""
    change = Entry(deployments.CHANGED, NOW, *ref, reason="first")
    with platform.ledger.writing(ref) as connection:
        state = deployments.Deployment(ref, 0, Served("1", Path("/p"), "c"), None, 0, 0)
        deployments.write(connection, state, change)


def test_models_that_do_not_answer(platform):
    """One of several is named; when none answers, that is the server, and one alarm."""
    look = LoopLooks(platform, Bounds())
    assert look.serving() == Looked()
    deployed(platform, ROSES)
    deployed(platform, TULIPS)
    assert look.serving() == Looked()
    platform.serving.unready = {TULIPS.dotted}
    assert [(a.cause, a.subject) for a in look.serving().alarms] == [(f"serving:{TULIPS}", TULIPS)]
    platform.serving.unready = {TULIPS.dotted, ROSES.dotted}
    (one,) = look.serving().alarms
    assert (one.cause, one.subject) == ("serving", None)
    assert "garden/roses, garden/tulips" in one.problem
    assert look.serving().leaves(f"serving:{TULIPS}")


def test_turns_of_the_loop_that_did_not_end_well(platform):
    """The newest of each model, until the next one ends well; a failed run is more than an information."""
    look = LoopLooks(platform, Bounds())
    rule = Drift(cooldown_hours=0)

    def turn(ref: ModelRef, state: str, days_ago: float = 0) -> str:
        at = NOW - timedelta(days=days_ago)
        opened = cycles.open_cycle(platform.ledger, ref, rule, "drift", f"{ref}{state}{days_ago}", at, force=True)
        return cycles.close_cycle(platform.ledger, opened.cycle_id, state, "scores fell", at).cycle_id

    turn(ROSES, "rejected", days_ago=9)
    assert look.cycles() == Looked()
    back, failed = turn(ROSES, "rolled_back", days_ago=1), turn(TULIPS, "failed")
    assert {a.cause: a.severity for a in look.cycles().alarms} == {
        f"cycle:{back}": "info",
        f"cycle:{failed}": "warning",
    }
    assert "rolled back: scores fell" in look.cycles().alarms[0].problem
    turn(ROSES, "promoted")
    assert [a.cause for a in look.cycles().alarms] == [f"cycle:{failed}"]


def test_each_look_may_end_what_it_raises(platform: Platform, garden: Any) -> None:
    """A cause that its look does not own would stand for ever, and be told at once when it comes again."""
    looks = watchdog(platform, garden.url, Bounds(), lambda _: None).looks
    found = {alarm.cause: look for look in looks for alarm in look.at().alarms}
    assert {"location:torn", "code-server:absent"} <= set(found)
    assert [cause for cause, look in found.items() if not cause.startswith(look.owns)] == []
