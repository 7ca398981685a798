"""Skew check results of a version in the ledger; a version with skew is rolled out no further."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.loop.ledger.ledger import Entry, Ledger

CHECKED = "skew.checked"
"""Kind of the entry that each check leaves; its details are a ``loopline.platform_core.monitor.skew.skew.Skew``."""


def newest(ledger: Ledger, ref: ModelRef, version: str) -> Entry | None:
    """Return the newest check of a version, None while it was never checked."""
    return next(iter(ledger.entries(ref, [CHECKED], limit=1, newest_first=True, version=version)), None)


def standing(ledger: Ledger, ref: ModelRef, version: str) -> str:
    """Say what the newest check of a version has against it, "" for nothing."""
    entry = newest(ledger, ref, version)
    return "" if entry is None or entry.details["passed"] else f"skew: {entry.reason}"
