"""What the skew check found of a version, as the ledger keeps it; a version that differs goes no further."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from platform_core.loop.ledger import Entry, Ledger
    from platform_core.names import ModelRef

CHECKED = "skew.checked"
"""Kind of the entry that each check leaves; its details are a ``platform_core.monitor.skew.Skew``."""


def checks(ledger: Ledger, ref: ModelRef, version: str) -> list[Entry]:
    """Return the checks of a version, oldest first."""
    return [entry for entry in ledger.entries(ref, [CHECKED]) if entry.version == version]


def standing(ledger: Ledger, ref: ModelRef, version: str) -> str:
    """Say what the newest check of a version has against it, "" for nothing."""
    newest = ledger.entries(ref, [CHECKED], newest_first=True)
    entry = next((entry for entry in newest if entry.version == version), None)
    return "" if entry is None or entry.details["passed"] else f"skew: {entry.reason}"
