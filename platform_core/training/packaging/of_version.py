"""Training set of a registered model version, looked up in the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.platform_core.errors import NotFound
from loopline.platform_core.loop.ledger.entry_kinds import PINNED, REGISTERED
from loopline.platform_core.training import training_set

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.loop.ledger.ledger import Ledger
    from loopline.platform_core.training.training_set import TrainingSet


def training_set_of(ledger: Ledger, ref: ModelRef, version: str) -> TrainingSet:
    """Return what pins the training set of a version.

    Raises:
        NotFound: no cycle of the model registered such a version.
    """
    registered = {entry.version: entry.cycle for entry in ledger.entries(ref, kinds=[REGISTERED])}
    pinned = {entry.cycle: entry.details for entry in ledger.entries(ref, kinds=[PINNED])}
    details = pinned.get(registered.get(version, ""))
    if details is None:
        known = ", ".join(registered) or "none"
        raise NotFound(f"no training set of {ref} version {version} is written down", f"versions are {known}")
    return training_set.from_json(details)
