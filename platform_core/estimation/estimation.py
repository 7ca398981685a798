"""Interface of performance estimation: what a kind of models brings to have its metrics estimated without labels.

Raw predictions come to mean something by rows that the model never learnt from: first those that were held out when it
was trained, of which its package keeps what is needed, later those that it answered and whose labels have come
(``Evidence``). What was learnt of them (``Meaning``) gives the figures of other rows that have no label yet.
"""

from __future__ import annotations

import abc
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from loopline.platform_core.estimation.held_out import HeldOut
    from loopline.platform_core.metrics.metric import Figure, Floats, Metric, Predictions


class Kind(Protocol):
    """What an estimation asks of a kind of models."""

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Return the metrics by name."""
        ...

    def rows(self, labels: Floats, raw: Floats) -> Predictions:
        """Put labels beside raw predictions."""
        ...

    def reading(self, raw: Floats) -> Floats:
        """Return one number a row."""
        ...

    def shortage(self, labels: Floats) -> str:
        """Say what labels lack to be learnt from, "" for nothing."""
        ...


class Counts(Protocol):
    """Rows with a label, summed up as far as nothing that is learnt of them is lost; those of two parts add up."""

    def __add__(self, other: Any) -> Any:
        """Return the rows of both."""
        ...


class Meaning(abc.ABC):
    """What raw predictions were found to mean."""

    @abc.abstractmethod
    def agrees(self, older: Any) -> bool:
        """Say whether what other, older rows were found to mean may be the same; chance says no in one of 20 cases."""

    @abc.abstractmethod
    def estimated(self, kind: Kind, raw: Floats, metrics: Iterable[Metric]) -> Iterator[Figure]:
        """Yield what those of the metrics will be that are estimated.

        ``low`` and ``high`` hold what is realised in about 95 of 100 cases.
        """


class Estimation(abc.ABC):
    """A way to estimate. ``file`` is what a package keeps held-out rows in; packages of before have none.

    One that is ``early`` learns from labels of which the first numbers have come, before their last one is known.
    """

    file: ClassVar[str]
    early: ClassVar[bool] = False

    @abc.abstractmethod
    def metrics(self, kind: Kind) -> tuple[str, ...]:
        """Name the metrics that are estimated."""

    @abc.abstractmethod
    def held_out(self, kind: Kind, raw: Floats, labels: Floats) -> HeldOut:
        """Return what a package keeps of rows that were not learnt from, which come in order of time."""

    @abc.abstractmethod
    def counted(self, kind: Kind, raw: Floats, labels: Floats) -> Counts:
        """Sum up rows."""

    @abc.abstractmethod
    def older(self, kept: HeldOut) -> Counts | None:
        """Return what a package keeps of rows before its newest; None where there are none."""

    @abc.abstractmethod
    def learnt(self, counts: Any) -> Meaning:
        """Return what rows tell."""

    def ahead_us(self, kind: Kind) -> int:  # noqa: ARG002
        """Return by how much (µs) the first number of a label is known before its last one."""
        return 0

    def known(self, kind: Kind, labels: Floats, since_us: Floats) -> Floats:  # noqa: ARG002
        """Return labels as they were known so long (µs) after their first number could be."""
        return labels
