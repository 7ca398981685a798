"""Hours of a week in a place, summer time and all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.specs import Rollout
from loopline.platform_core.specs.judges.business_hours import business_hours

LONDON = business_hours("Mon-Fri 09:00-17:00 Europe/London")


def at(text: str) -> datetime:
    """Read an instant in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("instant", "inside"),
    [
        ("2026-01-05T08:59:59", False),
        ("2026-01-05T09:00", True),
        ("2026-01-05T16:59:59", True),
        ("2026-01-05T17:00", False),
        ("2026-01-04T12:00", False),  # a Sunday
        ("2026-07-06T08:00", True),  # in summer nine o'clock comes an hour earlier
        ("2026-07-06T16:30", False),
    ],
)
def test_the_clock_on_the_wall_counts(instant, inside):
    """The end is not within; summer time is the place's."""
    assert LONDON.contain(at(instant)) is inside


@pytest.mark.parametrize(
    ("instant", "opening"),
    [
        ("2026-01-05T08:00", "2026-01-05T09:00"),
        ("2026-01-05T09:00", "2026-01-06T09:00"),
        ("2026-01-09T18:00", "2026-01-12T09:00"),
        ("2026-03-27T18:00", "2026-03-30T08:00"),  # over the night in which clocks go forward
        ("2026-10-23T18:00", "2026-10-26T09:00"),  # and back
    ],
)
def test_the_next_opening_is_told_in_utc(instant, opening):
    """Over night, over the weekend, over the change of the clocks."""
    assert LONDON.next_opening(at(instant)) == at(opening)


def test_an_hour_that_comes_twice_or_never():
    """In the night of the change both passes of the hour are within; the skipped one opens with the next."""
    night = business_hours("Sun 01:00-03:00 Europe/London")
    twice = [at("2026-10-25T00:00") + timedelta(minutes=30 * n) for n in range(7)]
    assert [night.contain(instant) for instant in twice] == [True] * 6 + [False]
    assert night.contain(at("2026-03-29T01:00"))
    assert not night.contain(at("2026-03-29T00:30"))


def test_days_are_lists_and_ranges():
    """A range may go over Sunday; a day may end at midnight."""
    assert business_hours("Mon,Wed-Thu 00:00-24:00 UTC").days == {0, 2, 3}
    assert business_hours("Fri-Mon 09:00-10:00 UTC").days == {4, 5, 6, 0}
    assert business_hours("Sat 22:00-24:00 UTC").contain(at("2026-01-03T23:59"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("09:00-17:00", "not days, times and a zone"),
        ("Mon-Fri 09:00-17:00", "not days, times and a zone"),
        ("Mo-Fr 09:00-17:00 UTC", "'Mo-Fr' names no days"),
        ("Mon- 09:00-17:00 UTC", "'Mon-' names no days"),
        ("Mon,, 09:00-17:00 UTC", "'' names no days"),
        ("Mon 9-17 UTC", "'9-17' are no times"),
        ("Mon 09:00-24:01 UTC", "no time of a day"),
        ("Mon 09:60-17:00 UTC", "no time of a day"),
        ("Mon 22:00-06:00 UTC", "ends before it begins"),
        ("Mon 09:00-17:00 Europe/Londn", "no zone 'Europe/Londn'"),
        ("Mon 09:00-17:00 ../etc", "no zone '../etc'"),
    ],
)
def test_what_is_written_otherwise_is_refused_with_an_example(text, words):
    """Already where the rollout is declared."""
    with pytest.raises(InvalidSpec, match=words.replace("(", r"\(")) as refused:
        Rollout(hours=text)
    assert refused.value.fix
