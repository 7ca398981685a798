"""What stands and gets much worse is told again, once a growth, also where somebody had taken it on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from loopline.platform_core import alarms
from loopline.platform_core.alarms import Alarm, acknowledge, standing
from loopline.platform_core.alarms.deliver import deliver
from loopline.platform_core.alarms.escalation import Worst
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.platform import Platform
from tests.platform_core.alarms.conftest import titles

REF = ModelRef("retail", "cancellations")
DRIFT = Alarm("drift:a", "warning", "price 0.8", "look", REF, size=0.8, parts=("price",))
LATER = timedelta(minutes=61)


def after(platform: Platform, passed: timedelta = LATER) -> None:
    """Tell what there is to tell when the cool-down has passed."""
    deliver(platform, datetime.now(UTC) + passed)


def test_an_alarm_that_becomes_a_thousand_times_as_bad_is_told_again(platform, day):
    """It stood at 0.8 deviations and became 827 in silence."""
    alarms.raise_alarm(platform, DRIFT)
    deliver(platform)
    assert not alarms.raise_alarm(platform, replace(DRIFT, problem="price 827", size=827.0))
    deliver(platform)
    assert len(day.inbox) == 1, "within the cool-down it is not graver, only larger"
    after(platform)
    after(platform, 2 * LATER)
    assert titles(day) == [
        "[warning] retail/cancellations: price 0.8",
        "[warning, worse] retail/cancellations: price 827",
    ]
    assert "told again: 1034 times as bad: 827 after 0.8" in day.inbox[1][1]
    assert len({identity for identity, _ in day.inbox}) == 2
    (entry,) = platform.ledger.entries(kinds=["alarm.worse"])
    assert entry.reason == "1034 times as bad: 827 after 0.8"


def test_columns_that_join_are_told_and_those_that_come_back_are_not(platform, day):
    """Each new one once an episode; one that leaves and comes again is no news, nor is twice as bad."""
    alarms.raise_alarm(platform, DRIFT)
    after(platform)
    alarms.raise_alarm(platform, replace(DRIFT, parts=("price", "country"), size=1.6))
    after(platform, 2 * LATER)
    for parts in (("country",), ("price",), ("country", "price")):
        alarms.raise_alarm(platform, replace(DRIFT, parts=parts))
        after(platform, 4 * LATER)
    assert len(day.inbox) == 2
    assert "told again: country joined" in day.inbox[1][1]


def test_a_graver_one_is_told_at_once_and_to_those_who_wait_for_it(platform, day, night):
    """The cool-down does not hold it back; who is told errors only hears of it for the first time."""
    alarms.raise_alarm(platform, DRIFT)
    deliver(platform)
    alarms.raise_alarm(platform, replace(DRIFT, severity="error"))
    deliver(platform)
    assert titles(day)[1:] == ["[error, worse] retail/cancellations: price 0.8"]
    assert titles(night) == ["[error] retail/cancellations: price 0.8"]
    alarms.raise_alarm(platform, DRIFT)
    alarms.raise_alarm(platform, replace(DRIFT, severity="error"))
    after(platform)
    assert (len(day.inbox), len(night.inbox)) == (2, 1), "up and down again is no news"
    alarms.clear(platform, "drift:a")
    deliver(platform)
    assert titles(night)[-1] == "[over] retail/cancellations: price 0.8"


def test_who_took_it_on_has_not_taken_on_what_is_ten_times_worse(platform, day):
    """It is told again; taken on once more, it is not."""
    alarms.raise_alarm(platform, DRIFT)
    deliver(platform)
    acknowledge(platform, "drift:a", "ada", "the price list changed")
    alarms.raise_alarm(platform, replace(DRIFT, size=7.9))
    assert standing(platform.ledger)[0].acknowledged == "ada: the price list changed"
    alarms.raise_alarm(platform, replace(DRIFT, size=8.0))
    assert standing(platform.ledger)[0].acknowledged == ""
    (entry,) = platform.ledger.entries(kinds=["alarm.worse"])
    assert "no longer taken on by ada" in entry.reason
    acknowledge(platform, "drift:a", "ada", "I see")
    after(platform)
    assert len(day.inbox) == 1


def test_a_new_episode_begins_anew(platform, day):
    """What was once as bad is no measure for the next time."""
    for size in (1.0, 50.0):
        alarms.raise_alarm(platform, replace(DRIFT, size=size))
    alarms.clear(platform, "drift:a")
    alarms.raise_alarm(platform, DRIFT)
    (one,) = standing(platform.ledger)
    assert (one.level, one.worse) == (0, "")
    alarms.raise_alarm(platform, replace(DRIFT, size=9.0))
    assert standing(platform.ledger)[0].level == 1


def test_an_alarm_of_before_is_taken_as_it_is(platform, day):
    """Of what stood when this release came no size is known: the first one that is said is no growth."""
    alarms.raise_alarm(platform, replace(DRIFT, size=None, parts=()))
    with platform.ledger.writing() as connection:
        connection.execute(update(tables.alarms).values(worst="", parts=""))
    alarms.raise_alarm(platform, replace(DRIFT, size=500.0, parts=("price",)))
    assert standing(platform.ledger)[0].level == 0
    alarms.raise_alarm(platform, replace(DRIFT, size=5000.0, parts=("price", "country")))
    assert standing(platform.ledger)[0].worse == "10 times as bad: 5e+03 after 500; country joined"


@pytest.mark.parametrize("size", [0.0, float("nan"), float("inf"), None])
def test_odd_sizes_are_no_growth(platform, size):
    """From nothing, or to what is no number, there is no measure."""
    alarms.raise_alarm(platform, replace(DRIFT, size=0.0))
    alarms.raise_alarm(platform, replace(DRIFT, size=size))
    assert standing(platform.ledger)[0].level == 0


def test_many_columns_are_counted():
    """A reason names five."""
    many = replace(DRIFT, parts=tuple("abcdefghij"))
    assert Worst.of(DRIFT).grown(many).why == "a, b, c, d, e and 5 more joined"
