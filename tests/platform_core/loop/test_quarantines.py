"""A window is quarantined by a name with a reason, stands until it is released, and its history stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from loopline.platform_core.errors import ContractBroken, NotFound, Refused
from loopline.platform_core.loop.cycles import quarantines
from loopline.platform_core.loop.sentences import sentence

T0 = datetime(2011, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def wanted(source: str = "orders", days: int = 1, reason: str = "prices in cents", by: str = "ada"):
    """Make a quarantine of the days before T0."""
    return quarantines.named("retail", source, T0 - days * DAY, T0, by, reason, T0)


def test_it_stands_until_it_is_released(ledger):
    """Said twice it is one; released and said again it stands again; every word of it is in the ledger."""
    first = quarantines.quarantine(ledger, wanted())
    assert quarantines.quarantine(ledger, wanted(reason="again")) == first
    assert quarantines.standing(ledger, "retail") == [first]
    assert quarantines.standing(ledger, "bank") == []
    quarantines.release(ledger, "retail", first.quarantine_id, "bob", "delivered again", T0 + DAY)
    assert quarantines.standing(ledger, "retail") == []
    with pytest.raises(NotFound, match="no quarantine"):
        quarantines.release(ledger, "retail", first.quarantine_id, "bob", "twice", T0 + DAY)
    quarantines.quarantine(ledger, wanted())
    assert [one.quarantine_id for one in quarantines.standing(ledger, "retail")] == [first.quarantine_id]
    assert [sentence(entry).partition(" is ")[2] for entry in ledger.entries()] == [
        "left out of training, by ada: prices in cents",
        "learnt from again, by bob: delivered again",
        "left out of training, by ada: prices in cents",
    ]


def test_windows_of_some_sources_in_one_order(ledger):
    """Whatever the order in which they were said."""
    for days in (3, 1, 2):
        quarantines.quarantine(ledger, wanted(days=days))
    quarantines.quarantine(ledger, wanted("visits"))
    found = quarantines.windows(ledger, "retail", ["orders"])
    assert [window.source for window in found] == ["orders"] * 3
    assert found == tuple(sorted(found, key=lambda window: window.quarantine_id))


@pytest.mark.parametrize(("by", "reason"), [("", "why"), ("ada", ""), ("ada", "  ")])
def test_nobody_and_no_reason_are_refused(ledger, by, reason):
    """As everywhere in the ledger."""
    with pytest.raises(Refused):
        quarantines.quarantine(ledger, wanted(by=by, reason=reason))


def test_an_empty_window_is_refused(ledger):
    """The earlier instant comes first, and both have a zone."""
    for since, until in ((T0, T0), (T0, T0 - DAY), (T0.replace(tzinfo=None), T0 + DAY)):
        with pytest.raises(ContractBroken, match="no window of time"):
            quarantines.quarantine(ledger, quarantines.named("retail", "o", since, until, "ada", "why", T0))
