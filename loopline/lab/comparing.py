"""Comparison of notebook fits and versions on the same held-out rows, with confidence intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loopline.lab import showing
from loopline.lab.fitting import Fitted
from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.metrics import intervals

if TYPE_CHECKING:
    from loopline.lab.rows import TrainingRows
    from loopline.lab.versions import Version
    from loopline.platform_core.metrics import Metric
    from loopline.platform_core.metrics.intervals import Interval
    from loopline.platform_core.metrics.metric import Predictions


@dataclass(frozen=True)
class Compared:
    """A metric of one side; ``better`` is by how much it is better than the first side on the same rows.

    Both have the interval in which the truth lies in 95 of 100 cases; None where rows cannot tell. ``better`` is there
    for metrics that are a mean of what single rows lose: what makes a row hard makes it so for both.
    """

    metric: str
    side: str
    found: Interval | None
    better: Interval | None


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(showing.Table):
    """All metrics of all sides, on so many rows; the first side is what the others are held against."""

    rows: int
    sides: tuple[str, ...]
    figures: tuple[Compared, ...]

    def of(self, metric: str, side: str | int = 1) -> Compared:
        """Return a metric of a side, by its name or place; raises ``KeyError`` where there is none."""
        name = self.sides[side] if isinstance(side, int) else side
        found = {(one.metric, one.side): one for one in self.figures}
        return found[metric, name]

    @property
    def _shown(self) -> showing.Shown:
        title = f"on the same {self.rows:,} held-out rows, against {self.sides[0]}"
        rows = [[one.metric, one.side, _told(one.found), _told(one.better), _verdict(one)] for one in self.figures]
        return title, ["metric", "of", "value", "better by", ""], rows


def compared(rows: TrainingRows, sides: Sequence[Fitted | Version]) -> Comparison:
    """Measure sides on the rows that were held out of the fit."""
    if not sides:
        raise InvalidSpec("nothing is to be compared", "give fits and versions: lab.compare(rows, champion, mine)")
    judged = rows.learnable.parts.evaluation
    target, labels = rows.model.target, rows.learnable.y[judged]
    measured = {name: target.rows(labels, raw) for name, raw in zip(_names(sides), _raw(rows, sides), strict=True)}
    first = next(iter(measured.values()))
    figures = [
        Compared(name, side, metric.interval(own), None if own is first else _better(metric, own, first))
        for name, metric in target.metrics.items()
        if metric.needs_labels
        for side, own in measured.items()
    ]
    return Comparison(len(labels), tuple(measured), tuple(figures))


def _raw(rows: TrainingRows, sides: Sequence[Fitted | Version]) -> list[Any]:
    found = []
    for side in sides:
        if isinstance(side, Fitted):
            if side.rows.pinned.row_hash != rows.pinned.row_hash:
                raise InvalidSpec(f"{side.name} was fitted on other rows", "fit it on those that you compare on")
            found.append(side.raw[rows.learnable.parts.evaluation])
        else:
            side.demand(rows.model, rows.held_out)
            found.append(side.predict(rows.held_out))
    return found


def _names(sides: Sequence[Fitted | Version]) -> list[str]:
    """Name each side, a second one of a name by its place."""
    names = [side.name for side in sides]
    return [name if names.count(name) == 1 else f"{name} ({place + 1})" for place, name in enumerate(names)]


def _better(metric: Metric, own: Predictions, first: Predictions) -> Interval | None:
    """Return by how much less the rows of one side lose than those of the first, in the metric's unit."""
    mine, other = metric.losses(own), metric.losses(first)
    if mine is None or other is None or len(mine.values) != len(own) or len(other.values) != len(own):
        return None
    return intervals.mean((other.values - mine.values) * mine.unit)


def _told(found: Interval | None) -> str:
    return "" if found is None else f"{found.value:.4g} [{found.low:.4g}, {found.high:.4g}]"


def _verdict(one: Compared) -> str:
    if one.better is None:
        return ""
    return "better" if one.better.low > 0 else "worse" if one.better.high < 0 else "may be chance"
