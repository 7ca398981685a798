"""Spec of labels: a function of a source's rows to what is to be predicted, and when that is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopline.platform_core.errors import InvalidSpec

if TYPE_CHECKING:
    from loopline.platform_core.specs.contracts.source import Source
    from loopline.platform_core.specs.views.features import FrameFunction

MOST_REACH_DAYS = 36_525
"""A century; who looks further leaves it out."""


@dataclass(frozen=True)
class Labels:
    """Labels of one source's rows.

    ``compute`` takes the accepted rows and returns one row per example: the ``entities`` columns, the ``time``
    column, ``label`` (as the model's target has it: 0 or 1, a number, a class), ``known_at`` (when the platform may use
    the label) and the ``segments`` columns, by which gates and monitoring compare groups.

    ``reach_days`` promises that a label rests on no raw row whose ``time`` lies more days before or after its own, and
    on none without a time, so that less must be read where new rows came; it is tried, and changes no value.
    """

    name: str
    source: Source
    entities: tuple[str, ...]
    time: str
    label: str
    known_at: str
    compute: FrameFunction
    segments: tuple[str, ...] = ()
    description: str = ""
    reach_days: float | None = None

    @property
    def entity(self) -> str:
        """Return the entity by whose values raw rows are looked up: the first."""
        return self.entities[0]

    def __post_init__(self) -> None:
        """Refuse what is no number of days."""
        if self.reach_days is not None and not 0 <= self.reach_days <= MOST_REACH_DAYS:
            raise InvalidSpec(
                f"labels {self.name!r}: reach_days {self.reach_days:g} is none of 0 to {MOST_REACH_DAYS:,} days",
                "write how many days before or after its own time a label looks, or leave it out",
            )


def labels(  # noqa: PLR0913 - a declaration names what it declares
    source: Source,
    *,
    entities: tuple[str, ...],
    time: str,
    label: str,
    known_at: str,
    segments: tuple[str, ...] = (),
    reach_days: float | None = None,
) -> Callable[[FrameFunction], Labels]:
    """Declare the decorated function as labels of its own name."""

    def declare(compute: FrameFunction) -> Labels:
        return Labels(
            compute.__name__,
            source,
            entities,
            time,
            label,
            known_at,
            compute,
            segments,
            compute.__doc__ or "",
            reach_days,
        )

    return declare
