"""Evaluation: splits a training set by time, and measures metrics as a whole, by segment, and against the champion."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.foundation.names import EVENT_TIME, LABEL
from loopline.platform_core.specs.judges.gates import Segment
from loopline.platform_core.targets import ROWS, drawing

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.targets import Target

Floats = NDArray[np.float64]
NEWEST_SHARE = 0.2
"""Share of the rows that is held out at each of the two cuts."""


@dataclass(frozen=True)
class Split:
    """Rows by age: the oldest to learn from, newer ones to choose by, the newest to be judged on."""

    train: slice
    valid: slice
    evaluation: slice


def split(table: pa.Table, target: Target) -> Split:
    """Cut a training set, sorted by event time: the newest 20 % are judged on, of the rest the newest 20 % chosen by.

    Rows of one instant stay together, so a part may be somewhat larger. Where labels look ahead, the rows whose labels
    reach into the next part belong to none: who learnt from them would have seen what that part is to tell.

    Raises:
        ContractBroken: a part's labels are too much alike to be learnt from, or judged by.
    """
    times = table.column(EVENT_TIME).cast("int64").to_numpy()
    second = _cut(times, len(times))
    first = _cut(times, second)
    train, valid = (_before(times, part, target.ahead_days) for part in (first, second))
    parts = Split(slice(0, train), slice(first, max(first, valid)), slice(second, len(times)))
    labels = target.encoded(table.column(LABEL))
    for name in ("train", "valid", "evaluation"):
        if shortage := target.shortage(labels[getattr(parts, name)]):
            raise ContractBroken(
                f"the {name} part has {shortage}, of {len(labels)} rows", "take a later as_of or wider labels"
            )
    return parts


def measured(target: Target, name: str, labels: Floats, raw: Floats) -> float:
    """Measure what a search maximises: the metric, turned round where less is better.

    Raises:
        ContractBroken: it is not defined for these rows.
    """
    metric = target.metrics[name]
    value = metric.value(target.rows(labels, raw))
    if value is None:
        raise ContractBroken(
            f"{name} is not defined for {len(labels)} rows: {target.shortage(labels) or 'they are too few'}",
            "take a later as_of or wider labels",
        )
    return -value if metric.better == "lower" else value


def metrics(target: Target, labels: Floats, raw: Floats) -> dict[str, float]:
    """Measure raw predictions against encoded labels as gates judge them, and count the rows."""
    return target.judged(target.rows(labels, raw)) | {ROWS: float(len(labels))}


def by_segment(
    table: pa.Table, columns: Sequence[str], target: Target, raw: Floats, names: Collection[str] = ()
) -> dict[str, dict[str, Segment]]:
    """Measure the target's ``of_segments`` and named metrics of each group; one that defines none is left out."""
    labels = target.encoded(table.column(LABEL))
    wanted = list(dict.fromkeys([*target.of_segments, *names]))
    return {column: _groups(table.column(column).to_pylist(), target, labels, raw, wanted) for column in columns}


def drawn(
    table: pa.Table, entities: Sequence[str], segments: Sequence[str], target: Target, raw: Floats
) -> list[dict[str, Any]]:
    """Return what the target draws of rows, which are named by some of their entities, as JSON."""
    if not target.draws:
        return []
    keys = [table.column(entity).to_pylist() for entity in entities]
    names = [" ".join(map(str, own)) for own in zip(*keys, strict=True)] if keys else [""] * table.num_rows
    groups = drawing.by_row({name: table.column(name).to_pylist() for name in segments}, table.num_rows)
    about = list(map(drawing.About, names, table.column(EVENT_TIME).to_pylist(), groups))
    return drawing.drawn_by(target, target.rows(target.encoded(table.column(LABEL)), raw), about)


def as_json(segments: Mapping[str, Mapping[str, Segment]]) -> dict[str, Any]:
    """Write segments as JSON would hold them."""
    return {
        column: {value: {"rows": segment.rows, "metrics": dict(segment.metrics)} for value, segment in groups.items()}
        for column, groups in segments.items()
    }


def _groups(
    values: Sequence[Any], target: Target, labels: Floats, raw: Floats, names: Collection[str]
) -> dict[str, Segment]:
    texts = np.array(["" if value is None else str(value) for value in values])
    groups: dict[str, Segment] = {}
    for value in sorted(set(texts.tolist()) - {""}):
        own = texts == value
        found = target.values(target.rows(labels[own], raw[own]), names)
        if found:
            groups[value] = Segment(int(np.sum(own)), found)
    return groups


def _before(times: NDArray[np.int64], part: int, days: float) -> int:
    """Return the end of the rows whose labels do not reach into the part that begins at a row."""
    if not days or part >= len(times):
        return part
    return int(np.searchsorted(times, times[part] - int(days * 86_400_000_000), side="right"))


def _cut(times: NDArray[np.int64], rows: int) -> int:
    """Return the first row of the newest share of ``rows``, moved back to where its instant begins."""
    if not rows:
        return 0
    boundary = min(int(rows * (1 - NEWEST_SHARE)), rows - 1)
    return int(np.searchsorted(times[:rows], times[boundary], side="left"))
