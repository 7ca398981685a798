"""Contract check of one arrival: its typed rows, its dead letters, and when it could first be known."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from loopline.platform_core.ingestion import erased_rows, raw_rows
from loopline.platform_core.ingestion.letters.dead_shares import Share
from loopline.platform_core.ingestion.letters.letters import letters_of
from loopline.platform_core.ingestion.row_changes import check_rows
from loopline.platform_core.loop.erasures import KEPT_OUT
from loopline.platform_core.specs.contracts.contract_file import MOST_AHEAD

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.contracts.engine import Checked
    from loopline.platform_core.contracts.event_source import Arrival
    from loopline.platform_core.ingestion.inbox import Inbox


@dataclass(frozen=True)
class CheckedArrival:
    """An arrival split by its contract: typed rows with their date, and letters."""

    arrival: Arrival
    good: pa.Table
    letters: pa.Table

    @property
    def share(self) -> Share:
        """Count rows and letters."""
        reasons = Counter(reason for reasons in self.letters["reasons"].to_pylist() for reason in reasons)
        return Share(self.arrival.name, len(self.good), len(self.letters), reasons)


def check_arrival(inbox: Inbox, arrival: Arrival) -> CheckedArrival:
    """Read an arrival and hold it against the contract.

    What it says of its time is believed as far as it can be true: nothing was known later than now, and nothing whose
    events came more than a day after it. Then it is known from now on.

    Raises:
        ContractBroken: as a whole it is not what the contract says. NotFound: it moved. Others: as its vendors.
    """
    now = inbox.platform.clock.now()
    came = replace(arrival, arrived_at=min(arrival.arrived_at, now))
    rows = inbox.platform.event_source.read(inbox.where, arrival)
    contract = inbox.judged.in_order() if arrival.in_order else inbox.judged
    checked = check_rows(inbox.platform.engine, raw_rows.stamped(rows, came), contract, arrival.name)
    left = erased_rows.without_erased(inbox, checked.good, checked.bad)
    erased_rows.told(inbox, left.kept_out, arrival.name, f"{KEPT_OUT}:{inbox.where}:{arrival.arrival_id}")
    checked = replace(checked, good=left.good, bad=left.bad)
    newest = _newest_event(inbox, checked)
    if newest is not None and newest > came.arrived_at + MOST_AHEAD and came.arrived_at < now:
        came = replace(came, arrived_at=now)
        checked = replace(checked, good=raw_rows.known_at(checked.good, now), bad=raw_rows.known_at(checked.bad, now))
    return CheckedArrival(came, raw_rows.dated(checked.good, inbox.contract), letters_of(checked.bad, came))


def _newest_event(inbox: Inbox, checked: Checked) -> datetime | None:
    """Return the newest event time of the good rows, where their contract has one and no bound of its own on it."""
    from pyarrow import compute

    event = inbox.contract.event_time
    ahead = any(rule.column == event and rule.kind.endswith("maximum") for rule in inbox.contract.rules)
    if event is None or ahead or not len(checked.good):
        return None
    newest: datetime | None = compute.max(checked.good[event]).as_py()
    return newest
