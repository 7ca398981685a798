"""Kinds of ledger entries that more than their writers read, so that a reader need not know the writer."""

from __future__ import annotations

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
