"""Alarm for a model package that fails signature verification; cleared when it passes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from loopline.platform_core.alarms.active_alarms import clear, raise_alarm, standing
from loopline.platform_core.alarms.alarm import Alarm
from loopline.platform_core.errors import Untrusted

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.platform import Platform


@contextmanager
def alarmed(platform: Platform, ref: ModelRef, version: str) -> Iterator[None]:
    """Raise an alarm where a version's package is refused, besides the error; clear it where it is taken.

    Raises:
        Untrusted: as the block does.
    """
    cause = f"untrusted:{ref}:{version}"
    try:
        yield
    except Untrusted as error:
        raise_alarm(platform, Alarm(cause, "error", error.problem, error.fix, ref))
        raise
    if platform.trust is not None:
        clear(platform, cause, f"version {version} is what a known trainer signed")


def superseded(platform: Platform, ref: ModelRef, version: str) -> None:
    """Clear alarms of a model's other versions: one that is proven goes live instead."""
    if platform.trust is not None:
        for one in standing(platform.ledger, f"untrusted:{ref}:"):
            clear(platform, one.alarm.cause, f"version {version} goes live instead")
