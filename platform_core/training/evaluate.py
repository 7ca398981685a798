"""Splits a training set by time and measures scores: whole, by segment, and the champion's on the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loopline.platform_core.errors import ContractBroken, InvalidSpec
from loopline.platform_core.foundation.names import EVENT_TIME, LABEL
from loopline.platform_core.specs.gates import Segment

if TYPE_CHECKING:
    import pyarrow as pa

Floats = NDArray[np.float64]
NEWEST = 0.2
"""Share of the rows that is held out at each of the two cuts."""
METRICS = ("roc_auc", "average_precision", "log_loss", "brier", "recall", "precision", "positives", "rows")
"""What ``metrics`` measures; ``recall`` and ``precision`` at the model's threshold, ``positives`` as a share."""


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
    """Measure what a search maximises.

    Raises:
        InvalidSpec: no metric of this name is better when it is larger and needs no threshold.
    """
    from sklearn import metrics as of

    functions = {"roc_auc": of.roc_auc_score, "average_precision": of.average_precision_score}
    losses = {"log_loss": of.log_loss, "brier": of.brier_score_loss}
    if name in losses:
        return -float(losses[name](labels, scores))
    if name not in functions:
        raise InvalidSpec(f"no search metric {name!r}", f"use one of {', '.join([*functions, *losses])}")
    return float(functions[name](labels, scores))


def metrics(labels: Floats, scores: Floats, threshold: float) -> dict[str, float]:
    """Measure probabilities against labels 0 and 1: see ``METRICS``; ranking and loss need both labels."""
    from sklearn import metrics as of

    flagged = scores >= threshold
    hits = float(np.sum(labels[flagged]))
    found = {
        "roc_auc": float(of.roc_auc_score(labels, scores)),
        "average_precision": float(of.average_precision_score(labels, scores)),
        "log_loss": float(of.log_loss(labels, scores)),
        "brier": float(np.mean((scores - labels) ** 2)),
        "recall": hits / float(np.sum(labels)),
        "precision": hits / max(float(np.sum(flagged)), 1.0),
        "positives": float(np.mean(labels)),
        "rows": float(len(labels)),
    }
    return {name: found[name] for name in METRICS}


def by_segment(
    table: pa.Table, columns: Sequence[str], scores: Floats, threshold: float
) -> dict[str, dict[str, Segment]]:
    """Measure each group of each segment column; a group without a positive has no recall and is left out."""
    labels = np.asarray(table.column(LABEL).to_numpy(), dtype=np.float64)
    return {column: _groups(table.column(column).to_pylist(), labels, scores, threshold) for column in columns}


def as_json(segments: Mapping[str, Mapping[str, Segment]]) -> dict[str, Any]:
    """Write segments as JSON would hold them."""
    return {
        column: {value: {"rows": segment.rows, "metrics": dict(segment.metrics)} for value, segment in groups.items()}
        for column, groups in segments.items()
    }


def _groups(values: Sequence[Any], labels: Floats, scores: Floats, threshold: float) -> dict[str, Segment]:
    from sklearn.metrics import roc_auc_score

    texts = np.array(["" if value is None else str(value) for value in values])
    groups: dict[str, Segment] = {}
    for value in sorted(set(texts.tolist()) - {""}):
        own = texts == value
        positives = float(np.sum(labels[own]))
        if positives:
            found = {"recall": float(np.sum(labels[own & (scores >= threshold)])) / positives}
            if positives < np.sum(own):
                found["roc_auc"] = float(roc_auc_score(labels[own], scores[own]))
            groups[value] = Segment(int(np.sum(own)), found)
    return groups


def _cut(times: NDArray[np.int64], rows: int) -> int:
    """Return the first row of the newest share of ``rows``, moved back to where its instant begins."""
    if not rows:
        return 0
    boundary = min(int(rows * (1 - NEWEST)), rows - 1)
    return int(np.searchsorted(times[:rows], times[boundary], side="left"))
