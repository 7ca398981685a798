"""Whoever keeps what was read sees each entry once, also one that is shown after a later one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from loopline.platform_core.loop.ledger import new_entries
from loopline.platform_core.loop.ledger.ledger import Entry, Ledger, append
from loopline.platform_core.loop.ledger.new_entries import Newer

T0 = datetime(2011, 3, 1, 12, 0, tzinfo=UTC)


def entry(reason: str, kind: str = "thing.happened") -> Entry:
    """Make an entry that is known by its reason."""
    return Entry(kind, T0, details={"reason": reason})


def told(reader: Newer, ledger: Ledger) -> list[str]:
    """Read what is new, by the reasons."""
    return [row.details["reason"] for row in reader.read(ledger)]


@pytest.mark.parametrize("settled", [timedelta(0), timedelta(minutes=1)])
def test_each_is_read_once_in_order(ledger, monkeypatch, settled):
    """Of its kinds only, whether entries are settled by the next look or not."""
    monkeypatch.setattr(new_entries, "SETTLED", settled)
    reader = Newer("thing.happened")
    for reason in ("a", "b"):
        ledger.record(entry(reason))
    ledger.record(entry("other", kind="else.happened"))
    assert told(reader, ledger) == ["a", "b"]
    assert told(reader, ledger) == []
    ledger.record(entry("c"))
    assert told(reader, ledger) == ["c"]
    assert told(reader, ledger) == []
    assert told(Newer("thing.happened"), ledger) == ["a", "b", "c"]


def test_what_is_committed_late_is_not_missed(new_database):
    """PostgreSQL gives a number when an entry is written, and shows it when its transaction ends."""
    ledger = Ledger.open(new_database())
    reader = Newer("thing.happened")
    with ledger.writing() as slow:
        append(slow, entry("slow"))
        ledger.record(entry("quick"))
        assert told(reader, ledger) == ["quick"]
    assert told(reader, ledger) == ["slow"]
    assert told(reader, ledger) == []
    ledger.close()


def test_of_very_many_the_newest_are_looked_at(ledger, monkeypatch):
    """What was cut off at the first look does not come at the second."""
    monkeypatch.setattr(new_entries, "LOOKED_AT", 2)
    reader = Newer("thing.happened")
    for reason in ("a", "b", "c"):
        ledger.record(entry(reason))
    assert told(reader, ledger) == ["b", "c"]
    ledger.record(entry("d"))
    assert told(reader, ledger) == ["d"]
