"""Heartbeat of the watchdog: written each round, read by whoever checks that it is alive."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.platform_core.foundation import files
from loopline.platform_core.loop import watchdog_looks

if TYPE_CHECKING:
    from datetime import datetime

    from loopline.platform_core.loop.ledger.ledger import Ledger

FILE = "watchdog.json"
"""In the watchdog's own home: a sign of life for probes, also while no database answers."""
ROUND = "round"
SILENT_SECONDS = 300
"""From when on nobody may rely on the watchdog."""


def write_round(home: Path, facts: Mapping[str, Any]) -> None:
    """Write the sign of life; ``facts`` are of the round that has ended."""
    files.write(home / FILE, json.dumps(dict(facts)).encode())


def last(ledger: Ledger) -> datetime | None:
    """Return when the watchdog ended its last round, by the database's clock; None where it never did."""
    found = watchdog_looks.seen(ledger, ROUND)
    return found.at if found else None
