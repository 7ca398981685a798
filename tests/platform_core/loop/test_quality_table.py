"""Quality windows: one row a version and time, the newest counts, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.rollouts import quality_table
from loopline.platform_core.loop.rollouts.quality_table import Row

REF, OTHER = ModelRef("shop", "returns"), ModelRef("shop", "visits")
START, WEEK = datetime(2011, 3, 7, tzinfo=UTC), timedelta(days=7)


def row(number: int, *, version: str = "1", weeks: int = 1, spec: str = "a", measured: str = "[]") -> Row:
    """Make a window."""
    since = START + number * WEEK
    return Row(version, since, since + weeks * WEEK, START, spec, measured, "[]")


def test_the_newest_measurement_takes_the_place_of_the_one_before(ledger) -> None:
    """However often a window is measured, it is one row; other versions and models are left alone."""
    quality_table.put(ledger, OTHER, [row(0)], "a")
    quality_table.put(ledger, REF, [row(0), row(0, version="2"), row(1)], "a")
    for figures in ("[1]", "[2]"):
        quality_table.put(ledger, REF, [row(0, measured=figures)], "a")
    assert quality_table.rows(ledger, REF) == [row(0, measured="[2]"), row(0, version="2"), row(1)]
    assert quality_table.rows(ledger, OTHER) == [row(0)]


def test_the_newest_windows_of_each_version_can_be_read_alone(ledger) -> None:
    """However many others there are; a version that has ended keeps its own."""
    windows = [*(row(number) for number in range(3)), *(row(number, version="2") for number in range(2, 7))]
    quality_table.put(ledger, REF, windows, "a")
    quality_table.put(ledger, OTHER, [row(9)], "a")
    found = [(one.version, one.since) for one in quality_table.rows(ledger, REF, newest=2)]
    assert found == [(version, START + number * WEEK) for number, version in ((1, "1"), (2, "1"), (5, "2"), (6, "2"))]
    assert quality_table.rows(ledger, REF, newest=99) == quality_table.rows(ledger, REF)


def test_windows_of_another_length_give_way_where_they_overlap(ledger) -> None:
    """What cannot be measured again stays, and counts as measured by the new rules."""
    quality_table.put(ledger, REF, [row(number) for number in range(5)], "a")
    quality_table.put(ledger, REF, [row(2, weeks=2, spec="b")], "b")
    left = [row(number, spec="b") for number in (0, 1)] + [row(2, weeks=2, spec="b"), row(4, spec="b")]
    assert quality_table.rows(ledger, REF) == left


def test_nothing_measured_changes_nothing_but_the_rules(ledger) -> None:
    """An empty round is one as well."""
    quality_table.put(ledger, REF, [row(0)], "a")
    quality_table.put(ledger, REF, [], "b")
    assert quality_table.rows(ledger, REF) == [row(0, spec="b")]
