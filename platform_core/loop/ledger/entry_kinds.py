"""Names of ledger entry kinds that several modules read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PINNED = "training_set.pinned"
"""A training set, pinned by its cycle to versions of tables."""
REGISTERED = "model.registered"
"""A model version, fitted by its cycle."""
LANDED = "arrival.landed"
"""Arrivals of a source whose rows are in the raw table."""
REFUSED = "arrival.refused"
"""An arrival that could not be read as its contract says."""
DOUBTED, WENT_ON = "cycle.doubted", "cycle.went_on"
"""What checks of a cycle's sources say before it learns, and that a person let it learn all the same."""
LANDING_DOUBTED, LANDING_CLEARED = "landing.doubted", "landing.cleared"
"""A landing of a source that failed its checks; that its rows were delivered again, taken back, or are as usual now."""
CLAIMED = "quota.claimed"
"""What a cycle's training asks for, claimed before it begins where the environment has a quota of it."""


def described(pinned: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers by which a pinned training set's labels are described, beside how many rows there are."""
    own = ("rows", "corrected_rows", "erased_rows")
    return {name: value for name, value in pinned.items() if isinstance(value, int | float) and name not in own}
