"""Estimated quality of a version, as the quality monitor recorded it, for a rollout's judges."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from loopline.platform_core.loop.rollouts import quality_table
from loopline.platform_core.specs.judges.judges import Estimate

if TYPE_CHECKING:
    from datetime import datetime

    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.loop.ledger.ledger import Ledger


def newest(ledger: Ledger, ref: ModelRef, version: str, since: datetime) -> tuple[Estimate, ...]:
    """Return the estimates over all rows of a version's newest window, if it was measured after an instant."""
    own = [row for row in quality_table.rows(ledger, ref) if row.version == version and row.measured_at >= since]
    if not own:
        return ()
    measured = json.loads(max(own, key=lambda row: row.since).measured)
    return tuple(
        Estimate(metric, value, low, high, rows)
        for metric, segment, value, low, high, rows, _, is_estimate in measured
        if is_estimate and not segment
    )
