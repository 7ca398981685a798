"""Splits a training set by time and measures scores: whole, by segment, and the champion's on the same rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loopline.platform_core import metrics as catalogue
from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.foundation.names import EVENT_TIME, LABEL
from loopline.platform_core.specs.gates import Segment
from loopline.platform_core.specs.search import searched

if TYPE_CHECKING:
    import pyarrow as pa

Floats = NDArray[np.float64]
NEWEST_SHARE = 0.2
"""Share of the rows that is held out at each of the two cuts."""
METRICS = (*catalogue.METRICS, catalogue.ROWS)
"""What ``metrics`` measures."""
OF_SEGMENTS = ("roc_auc", "recall")
"""What is measured of each segment, beside what gates ask of it."""


@dataclass(frozen=True)
class Split:
    """Rows by age: the oldest to learn from, newer ones to choose by, the newest to be judged on."""

    train: slice
    valid: slice
    evaluation: slice


def split(table: pa.Table) -> Split:
    """Cut a training set, sorted by event time: the newest 20 % are judged on, of the rest the newest 20 % chosen by.

    Rows of one instant stay together, so a part may be somewhat larger.

    Raises:
        ContractBroken: a part would have rows of one label only.
    """
    times = table.column(EVENT_TIME).cast("int64").to_numpy()
    second = _cut(times, len(times))
    first = _cut(times, second)
    parts = Split(slice(0, first), slice(first, second), slice(second, len(times)))
    labels = np.asarray(table.column(LABEL).to_numpy(), dtype=np.float64)
    for name in ("train", "valid", "evaluation"):
        own = labels[getattr(parts, name)]
        if len(np.unique(own)) < 2:  # noqa: PLR2004 - a classifier needs both labels
            raise ContractBroken(
                f"the {name} part has {len(own)} rows and {int(own.sum())} positives of {len(labels)} rows",
                "take a later as_of or wider labels: each part needs both labels",
            )
    return parts


def measured(name: str, labels: Floats, scores: Floats) -> float:
    """Measure what a search maximises: the metric, turned round where less is better.

    Raises:
        InvalidSpec: no metric of this name says what is better without a threshold.
    """
    metric = searched(name)
    value = metric.value(labels, scores, 1.0)
    if value is None:
        raise ContractBroken(
            f"{name} is not defined for {len(labels)} rows with {int(labels.sum())} positives",
            "take a later as_of or wider labels",
        )
    return -value if metric.better == "lower" else value


def metrics(labels: Floats, scores: Floats, threshold: float) -> dict[str, float]:
    """Measure probabilities against labels 0 and 1; of ``METRICS`` those that are defined for such labels.

    Of a version that flags nothing the precision is 0: a gate must not let it pass for want of a figure.
    """
    measured = catalogue.values(labels, scores, threshold)
    return measured | {"precision": measured.get("precision", 0.0), catalogue.ROWS: float(len(labels))}


def by_segment(
    table: pa.Table, columns: Sequence[str], scores: Floats, threshold: float, names: Collection[str] = ()
) -> dict[str, dict[str, Segment]]:
    """Measure ``OF_SEGMENTS`` and named metrics of each group of each column; one that defines none is left out."""
    labels = np.asarray(table.column(LABEL).to_numpy(), dtype=np.float64)
    wanted = list(dict.fromkeys([*OF_SEGMENTS, *names]))
    return {column: _groups(table.column(column).to_pylist(), labels, scores, threshold, wanted) for column in columns}


def as_json(segments: Mapping[str, Mapping[str, Segment]]) -> dict[str, Any]:
    """Write segments as JSON would hold them."""
    return {
        column: {value: {"rows": segment.rows, "metrics": dict(segment.metrics)} for value, segment in groups.items()}
        for column, groups in segments.items()
    }


def _groups(
    values: Sequence[Any], labels: Floats, scores: Floats, threshold: float, names: Collection[str]
) -> dict[str, Segment]:
    texts = np.array(["" if value is None else str(value) for value in values])
    groups: dict[str, Segment] = {}
    for value in sorted(set(texts.tolist()) - {""}):
        own = texts == value
        found = catalogue.values(labels[own], scores[own], threshold, names)
        if found:
            groups[value] = Segment(int(np.sum(own)), found)
    return groups


def _cut(times: NDArray[np.int64], rows: int) -> int:
    """Return the first row of the newest share of ``rows``, moved back to where its instant begins."""
    if not rows:
        return 0
    boundary = min(int(rows * (1 - NEWEST_SHARE)), rows - 1)
    return int(np.searchsorted(times[:rows], times[boundary], side="left"))
