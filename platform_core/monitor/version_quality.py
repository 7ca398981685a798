"""How good a version turned out to be over its whole life so far, and the ledger's entry of it.

How many rows there are is always told as it is now. The area and the recall of thousands of rows stay while at most one
in a hundred of the rarer kind of label is another, and for as long as a look goes on from the last, which is a day.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import func, select

from loopline.platform_core import metrics
from loopline.platform_core.loop import tables
from loopline.platform_core.loop.ledger import Entry
from loopline.platform_core.loop.quality_entries import FIGURES, REALISED

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.monitor.outcomes import Outcomes
    from loopline.platform_core.platform import Platform

STEADY = 100
"""Rows of the rarer kind of label, of which one may be another before figures of a whole life are measured anew."""
FEW = 1_000
"""Rows of the rarer kind up to which they are measured by each look."""


@dataclass(frozen=True)
class VersionQuality:
    """Figures of one version: distinct examples answered, those whose label counts by now, and how good that was.

    ``roc_auc`` is None while the labels are all alike, ``recall`` (at the model's threshold) while none is positive.
    """

    version: str
    predictions: int
    labelled: int
    roc_auc: float | None
    recall: float | None
    positives: int

    @property
    def labelled_share(self) -> float:
        """Return the share of the answers whose label is known, 0..1."""
        return self.labelled / self.predictions if self.predictions else 0.0


class Life(msgspec.Struct, frozen=True):
    """Figures of a version's whole life, and of what they were measured.

    These are rows that had a label, and positive ones; ``changed`` counts what may have changed of other rows until
    then: labels that took the place of others, and answers that were not their example's first.
    """

    threshold: float
    changed: int
    labelled: int
    positives: int
    roc_auc: float | None
    recall: float | None

    @classmethod
    def of(cls, answered: Outcomes, threshold: float, changed: int, before: Life | None = None) -> Life:
        """Measure everything that a version answered; where little has changed since ``before``, that stays."""
        known = answered.labelled
        labelled, positives = int(known.sum()), int((answered.labels > 0).sum())
        if before is not None and before.threshold == threshold and before.is_near(labelled, positives, changed):
            return before
        found = metrics.values(answered.labels[known], answered.scores[known], threshold, FIGURES)
        return cls(threshold, changed, labelled, positives, found.get("roc_auc"), found.get("recall"))

    def is_near(self, labelled: int, positives: int, changed: int) -> bool:
        """Say whether at most one in ``STEADY`` rows of the rarer kind of label is another than then."""
        then, now = (self.positives, self.labelled - self.positives), (positives, labelled - positives)
        moved = abs(now[0] - then[0]) + abs(now[1] - then[1]) + changed - self.changed
        rarer = min(*then, *now)
        return rarer >= FEW and moved * STEADY <= rarer


def of(version: str, answered: Outcomes, life: Life) -> VersionQuality:
    """Tell of everything that a version answered: rows are those of now, figures those of a measured life."""
    return VersionQuality(
        version=version,
        predictions=len(answered),
        labelled=int(answered.labelled.sum()),
        roc_auc=life.roc_auc,
        recall=life.recall,
        positives=int((answered.labels > 0).sum()),
    )


def record(platform: Platform, ref: ModelRef, versions: Iterable[VersionQuality]) -> None:
    """Write down the figures that have changed."""
    column = tables.entries.c
    own = (column.kind == REALISED) & (column.team == ref.team) & (column.model == ref.model)
    last = select(func.max(column.entry_id)).where(own).group_by(column.version)
    entries = platform.ledger.selected(select(tables.entries).where(column.entry_id.in_(last)))
    written: dict[str | None, Mapping[str, object]] = {entry.version: entry.details for entry in entries}
    for quality in versions:
        figures = asdict(quality)
        if written.get(quality.version) != figures:
            entry = Entry(REALISED, platform.clock.now(), *ref, version=quality.version, details=figures)
            platform.ledger.record(entry)
