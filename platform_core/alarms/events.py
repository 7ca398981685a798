"""Alarms of what the kernel itself finds; the watchdog finds the rest.

Each is called at one place, after what was found is in the ledger, and again whenever it is looked at: it raises or
clears, and costs one read while nothing changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.platform_core.alarms.alarm import Alarm
from loopline.platform_core.alarms.board import clear, raise_alarm
from loopline.platform_core.alarms.pages import Pages

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.platform import Platform


def drift(platform: Platform, ref: ModelRef, reason: str) -> None:
    """Say what the monitor says of a model's newest windows; "" when they are quiet."""
    cause = f"drift:{ref}"
    if not reason:
        clear(platform, cause, "the newest windows are quiet, or another version answers")
        return
    fix = "look at the report of the drift asset; a cycle retrains by itself unless it cools down or is frozen"
    link = Pages.known().asset([ref.team, "drift", ref.model], "checks")
    raise_alarm(platform, Alarm(cause, "warning", f"drift: {reason}", fix, ref, link))


def skew(platform: Platform, ref: ModelRef, reason: str) -> None:
    """Say what the skew check says of the versions that answer; "" when served and offline agree."""
    cause = f"skew:{ref}"
    if not reason:
        clear(platform, cause, "what is served is what training would see again")
        return
    fix = "find the cause as docs/how-to/find-skew.md says; the version goes no further until then"
    link = Pages.known().asset([ref.team, "predictions", ref.model], "checks")
    raise_alarm(platform, Alarm(cause, "error", reason, fix, ref, link))
