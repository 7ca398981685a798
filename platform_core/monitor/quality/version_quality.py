"""Lifetime quality of a version: its metrics over all that it answered, recorded in the ledger.

How many rows there are is always told as it is now. The figures of thousands of rows stay while at most one
in a hundred of the rarest class of label is another, and for as long as a look goes on from the last, which is a day.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import func, select

from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.loop.rollouts.quality_entries import REALISED

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.monitor.quality.outcomes import Outcomes
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.targets import Target

STEADY = 100
"""Rows of the rarest class of label, of which one may be another before figures of a whole life are measured anew."""
FEW = 1_000
"""Rows of the rarest class up to which they are measured by each look."""


@dataclass(frozen=True)
class VersionQuality:
    """Figures of one version: distinct examples answered, those whose label counts by now, and how good that was.

    ``figures`` are the target's metrics of a whole life, None where one is not defined for such labels; ``described``
    are the labels in a few numbers.
    """

    version: str
    predictions: int
    labelled: int
    figures: Mapping[str, float | None]
    described: Mapping[str, float]

    @property
    def labelled_share(self) -> float:
        """Return the share of the answers whose label is known, 0..1."""
        return self.labelled / self.predictions if self.predictions else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return it as the ledger's entry has it."""
        counts = {"version": self.version, "predictions": self.predictions, "labelled": self.labelled}
        return {**counts, **self.figures, **self.described}


class Life(msgspec.Struct, frozen=True):
    """Figures of a version's whole life, and of what they were measured.

    ``classes`` counts the labels of each class; ``changed`` counts what may have changed of other rows until then:
    labels that took the place of others, and answers that were not their example's first.
    """

    target: dict[str, Any]
    changed: int
    classes: list[int]
    figures: dict[str, float | None]

    @classmethod
    def of(cls, answered: Outcomes, target: Target, changed: int, before: Life | None = None) -> Life:
        """Measure everything that a version answered; where little has changed since ``before``, that stays."""
        known = answered.labelled
        labels, said = answered.labels[known], target.to_json()
        classes = [int(rows.sum()) for rows in target.marked(labels)]
        if before is not None and before.target == said and before.is_near(classes, changed):
            return before
        found = target.values(target.rows(labels, answered.raw[known]), target.of_life)
        figures = {name: value for name, value in found.items() if isfinite(value)}
        return cls(said, changed, classes, {name: figures.get(name) for name in target.of_life})

    def is_near(self, classes: Sequence[int], changed: int) -> bool:
        """Say whether at most one in ``STEADY`` rows of the rarest class of labels is another than then."""
        moved = sum(abs(now - then) for now, then in zip(classes, self.classes, strict=True)) + changed - self.changed
        rarest = min(*self.classes, *classes)
        return rarest >= FEW and moved * STEADY <= rarest


def of(version: str, answered: Outcomes, life: Life, target: Target) -> VersionQuality:
    """Tell of everything that a version answered: rows are those of now, figures those of a measured life."""
    labels = answered.labels[answered.labelled]
    described = target.described(labels) if len(labels) else {}
    return VersionQuality(version, len(answered), len(labels), life.figures, described)


def record(platform: Platform, ref: ModelRef, versions: Iterable[VersionQuality]) -> None:
    """Write down the figures that have changed."""
    column = tables.entries.c
    own = (column.kind == REALISED) & (column.team == ref.team) & (column.model == ref.model)
    last = select(func.max(column.entry_id)).where(own).group_by(column.version)
    entries = platform.ledger.selected(select(tables.entries).where(column.entry_id.in_(last)))
    written: dict[str | None, Mapping[str, object]] = {entry.version: entry.details for entry in entries}
    for quality in versions:
        figures = quality.to_json()
        if written.get(quality.version) != figures:
            entry = Entry(REALISED, platform.clock.now(), *ref, version=quality.version, details=figures)
            platform.ledger.record(entry)
