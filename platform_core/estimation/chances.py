"""Performance estimation for binary models, from the probability that a row is positive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from loopline.platform_core.estimation.estimation import Estimation

if TYPE_CHECKING:
    from loopline.platform_core.estimation.calibration import Calibration, Counted
    from loopline.platform_core.estimation.estimation import Kind
    from loopline.platform_core.estimation.held_out import HeldOut
    from loopline.platform_core.metrics.metric import Floats


@dataclass(frozen=True)
class Chances(Estimation):
    """Of rows that are positive or not, whose raw prediction is the chance of that, as far as it may be believed."""

    file: ClassVar[str] = "calibration.json"

    def metrics(self, kind: Kind) -> tuple[str, ...]:
        """Name those that are defined for chances and need labels."""
        from loopline.platform_core.estimation.expected import estimable

        return tuple(metric.name for metric in estimable(kind.metrics.values()))

    def held_out(self, kind: Kind, raw: Floats, labels: Floats) -> HeldOut:  # noqa: ARG002 - one signature for all
        """Keep the newest rows, and of others how many of like logits there are, and how many of these are positive."""
        from loopline.platform_core.estimation.calibration import Counted
        from loopline.platform_core.estimation.held_out import NEWEST_ROWS, HeldOut

        before = Counted.of(raw[:-NEWEST_ROWS], labels[:-NEWEST_ROWS])
        counts = [(round(float(at), 4), int(rows), int(hits)) for at, rows, hits in zip(*before.parts, strict=True)]
        return HeldOut(raw[-NEWEST_ROWS:].round(6).tolist(), labels[-NEWEST_ROWS:].tolist(), counts)

    def counted(self, kind: Kind, raw: Floats, labels: Floats) -> Counted:  # noqa: ARG002 - one signature for all
        """Count rows by their logits."""
        from loopline.platform_core.estimation.calibration import Counted

        return Counted.of(raw, labels)

    def older(self, kept: HeldOut) -> Counted | None:
        """Return the counts."""
        import numpy as np

        from loopline.platform_core.estimation.calibration import Counted

        parts = (np.array(part, dtype=np.float64) for part in zip(*kept.older, strict=True))
        return Counted(*parts) if kept.older else None

    def learnt(self, counts: Counted) -> Calibration:
        """Fit the line."""
        from loopline.platform_core.estimation.calibration import fitted

        return fitted(counts)
