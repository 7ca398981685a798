"""Performance estimation for multiclass and multilabel models, from their class probabilities."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from loopline.platform_core.estimation.estimation import Estimation

if TYPE_CHECKING:
    from loopline.platform_core.estimation.class_meaning import ClassRows, OneOfClasses
    from loopline.platform_core.estimation.estimation import Kind
    from loopline.platform_core.estimation.held_out import HeldOut
    from loopline.platform_core.estimation.label_meaning import AnyOfClasses
    from loopline.platform_core.metrics.metric import Floats


@dataclass(frozen=True)
class OfClasses(Estimation):
    """What both have in common. The metrics of some ``names`` are estimated, of whatever shape they are."""

    file: ClassVar[str] = "held_out_classes.json"

    names: tuple[str, ...]

    @abc.abstractmethod
    def learnt(self, counts: ClassRows) -> OneOfClasses | AnyOfClasses:
        """Fit what chances mean, class by class."""

    def metrics(self, kind: Kind) -> tuple[str, ...]:
        """Name them."""
        return tuple(name for name in self.names if name in kind.metrics)

    def held_out(self, kind: Kind, raw: Floats, labels: Floats) -> HeldOut:
        """Keep the newest rows, and some of those before."""
        from loopline.platform_core.estimation.class_meaning import IN_PACKAGE
        from loopline.platform_core.estimation.held_out import NEWEST_ROWS, HeldOut

        before = self.counted(kind, raw[:-NEWEST_ROWS], labels[:-NEWEST_ROWS]).some(IN_PACKAGE)
        newest = (raw[-NEWEST_ROWS:].round(6).tolist(), labels[-NEWEST_ROWS:].tolist())
        return HeldOut(*newest, before.to_json())

    def counted(self, kind: Kind, raw: Floats, labels: Floats) -> ClassRows:  # noqa: ARG002 - one signature for all
        """Keep rows, of very many an even share."""
        from loopline.platform_core.estimation.class_meaning import KEPT, ClassRows

        return ClassRows(raw, labels).some(KEPT)

    def older(self, kept: HeldOut) -> ClassRows | None:
        """Return the rows before the newest."""
        from loopline.platform_core.estimation.class_meaning import ClassRows

        return ClassRows.from_json(kept) if kept.older else None


@dataclass(frozen=True)
class ClassChances(OfClasses):
    """Of rows that are of one class of several, whose raw prediction is the chance of each."""

    def learnt(self, counts: ClassRows) -> OneOfClasses:
        """Fit a slope, and what each class is to be moved by."""
        from loopline.platform_core.estimation.class_meaning import OneOfClasses

        return OneOfClasses.of(self.names, counts)


@dataclass(frozen=True)
class LabelChances(OfClasses):
    """Of rows of which any number of classes may hold, whose raw prediction is the chance of each."""

    def learnt(self, counts: ClassRows) -> AnyOfClasses:
        """Fit a line for each class."""
        from loopline.platform_core.estimation.label_meaning import AnyOfClasses

        return AnyOfClasses.of(self.names, counts)
