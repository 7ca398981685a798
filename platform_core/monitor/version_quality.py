"""How good a version turned out to be over its whole life so far, and the ledger's entry of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import func, select

from loopline.platform_core import metrics
from loopline.platform_core.loop import tables
from loopline.platform_core.loop.ledger import Entry
from loopline.platform_core.loop.quality_entries import FIGURES, REALISED

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.monitor.outcomes import Outcomes
    from loopline.platform_core.platform import Platform


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


def of(version: str, answered: Outcomes, threshold: float) -> VersionQuality:
    """Measure everything that a version answered."""
    known = np.isfinite(answered.labels)
    labels, scores = answered.labels[known], answered.scores[known]
    found = metrics.values(labels, scores, threshold, FIGURES)
    return VersionQuality(
        version=version,
        predictions=len(answered),
        labelled=len(labels),
        roc_auc=found.get("roc_auc"),
        recall=found.get("recall"),
        positives=int((labels > 0).sum()),
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
