"""Direct loss estimation (DLE) of metrics that are means of row losses, such as the mean absolute error.

In its plain form: of rows that the model never learnt from, and of those whose labels have come,
the mean loss of rows of about one reading is known; the rows of a window have readings. It follows a shift of what is
asked, as far as rows of such readings were seen. Like every estimate without labels it cannot see that the same
features have come to mean something else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from loopline.platform_core.estimation.estimation import Estimation

if TYPE_CHECKING:
    from loopline.platform_core.estimation.estimation import Kind
    from loopline.platform_core.estimation.expected_losses import Expected, Tallied
    from loopline.platform_core.estimation.held_out import HeldOut
    from loopline.platform_core.metrics.metric import Floats


@dataclass(frozen=True)
class LossByReading(Estimation):
    """Estimates the metrics of some ``names``, each of them a ``MeanOfRows``, by the reading of each row."""

    file: ClassVar[str] = "held_out_losses.json"

    names: tuple[str, ...]

    def metrics(self, kind: Kind) -> tuple[str, ...]:
        """Name them."""
        return tuple(name for name in self.names if name in kind.metrics)

    def held_out(self, kind: Kind, raw: Floats, labels: Floats) -> HeldOut:
        """Keep the newest rows, and of others sums of losses by reading."""
        from loopline.platform_core.estimation.held_out import NEWEST_ROWS, HeldOut

        before = self.counted(kind, raw[:-NEWEST_ROWS], labels[:-NEWEST_ROWS])
        return HeldOut(
            _shortened(raw[-NEWEST_ROWS:]).tolist(), _shortened(labels[-NEWEST_ROWS:]).tolist(), before.to_json()
        )

    def counted(self, kind: Kind, raw: Floats, labels: Floats) -> Tallied:
        """Sum up losses by reading."""
        import numpy as np

        from loopline.platform_core.estimation.expected_losses import Tallied, mean_of_rows

        rows = kind.rows(labels, raw)
        lost = [mean_of_rows(kind.metrics[name]).of_rows(rows) for name in self.metrics(kind)]
        return Tallied.of(kind.reading(raw), np.stack(lost, axis=1))

    def older(self, kept: HeldOut) -> Tallied | None:
        """Return the sums; none where they are of other losses."""
        from loopline.platform_core.estimation.expected_losses import Tallied

        return Tallied.from_json(kept.older, len(self.names)) if kept.older else None

    def learnt(self, counts: Tallied) -> Expected:
        """Put the rows into bins of like readings."""
        from loopline.platform_core.estimation.expected_losses import Expected

        return Expected.of(self.names, counts)


def _shortened(values: Floats) -> Floats:
    """Return numbers of at most seven digits: they are written as text."""
    import numpy as np

    return np.array([float(f"{value:.7g}") for value in values.ravel()], dtype=np.float64).reshape(values.shape)
