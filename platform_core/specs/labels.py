"""What is to be predicted, and when it becomes known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loopline.platform_core.specs.features import FrameFunction
    from loopline.platform_core.specs.source import Source


@dataclass(frozen=True)
class Labels:
    """Labels of one source's rows.

    ``compute`` takes the accepted rows and returns one row per example: the ``entities`` columns, the ``time``
    column, ``label`` (0 or 1), ``known_at`` (when the platform may use the label) and the ``segments`` columns,
    by which gates and monitoring compare groups.
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


def labels(  # noqa: PLR0913 - a declaration names what it declares
    source: Source, *, entities: tuple[str, ...], time: str, label: str, known_at: str, segments: tuple[str, ...] = ()
) -> Callable[[FrameFunction], Labels]:
    """Declare the decorated function as labels of its own name."""

    def declare(compute: FrameFunction) -> Labels:
        return Labels(
            compute.__name__, source, entities, time, label, known_at, compute, segments, compute.__doc__ or ""
        )

    return declare
