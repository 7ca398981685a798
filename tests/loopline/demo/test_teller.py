"""The ledger is told as it grows."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from loopline.demo.teller import Teller
from loopline.platform_core.loop.ledger.ledger import Entry, Ledger

T0 = datetime(2011, 3, 1, tzinfo=UTC)


def test_each_entry_is_told_once_and_what_is_only_looked_at_is_kept_in_silence(tmp_path: Path) -> None:
    """A call returns what came since the last one; all of it stays for the end of the story."""
    ledger, lines = Ledger.open(f"sqlite:///{tmp_path}/ledger.db"), list[str]()
    teller = Teller(ledger, lines.append)
    assert teller.listen() == []
    for number, kind in enumerate(("x.first", "arrival.landed", "x.second")):
        ledger.record(Entry(kind, T0, "shop", "large", reason=str(number)))
        assert [entry.kind for entry in teller.listen()] == [kind]
    assert teller.listen() == []
    assert [line.split("  ")[-1] for line in lines] == [
        "2011-03-01 00:00:00 x.first: 0",
        "2011-03-01 00:00:00 x.second: 2",
    ]
    assert [entry.kind for entry in teller.entries] == ["x.first", "arrival.landed", "x.second"]
    ledger.close()
