"""Segments and fairness groups of live metrics: their columns, and each row's value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.specs.quality import watched_fairness, watched_segments

if TYPE_CHECKING:
    from loopline.platform_core.specs import Model, Team

Texts = NDArray[np.object_]
MOST_GROUPS = 20
"""Groups of a column that are looked at, the largest first: a column of thousands of values is no segment."""


def columns(team: Team, model: Model) -> tuple[str, ...]:
    """Return the segments and fairness groups of a model.

    Raises:
        InvalidSpec: a contract marks one as personal.
    """
    wanted, persons = watched(model), personal_columns(team, model)
    for column in wanted:
        if column in persons:
            raise of_persons(model, column)
    return wanted


def watched(model: Model) -> tuple[str, ...]:
    """Return the segments and fairness groups that a model names, or its labels and gates."""
    return tuple(dict.fromkeys([*watched_segments(model), *(rule.column for rule in watched_fairness(model))]))


def of_persons(model: Model, column: str) -> InvalidSpec:
    """Say why a personal column is no segment."""
    return InvalidSpec(
        f"model {model.name!r} splits its figures by {column!r}, which a contract marks as personal: each person "
        "would be a group, and the figures would tell of persons",
        f"let the labels return a coarser column, such as a region or an age band, in place of {column!r}",
    )


def personal_columns(team: Team, model: Model) -> set[str]:
    """Return the columns that a contract of the model's sources marks as personal."""
    from loopline.platform_core.specs.contracts.odcs import contract_of

    sources = {model.labels.source, *(view.source for view in model.features)}
    read = (column for source in sources for column in contract_of(team, source).columns)
    return {column.name for column in read if column.personal}


def served(rows: Sequence[Mapping[str, Any]], column: str) -> Texts:
    """Return a feature's values as text, "" where there is none.

    Raises:
        InvalidSpec: no row has such a feature.
    """
    if rows and not any(column in row for row in rows):
        raise InvalidSpec(
            f"figures are to be split by {column!r}, which is neither a segment of the labels nor a feature",
            "name it in @labels(segments=...), or take a feature of the model",
        )
    return np.array(["" if (value := row.get(column)) is None else str(value) for row in rows], dtype=object)


def largest(values: Texts, least: int) -> list[str]:
    """Name the groups with ``least`` rows, at most ``MOST_GROUPS`` of them, by name."""
    names, counts = np.unique(values.astype(str), return_counts=True)
    ranked = sorted(zip(counts.tolist(), names.tolist(), strict=True), key=lambda pair: (-pair[0], pair[1]))
    return sorted([name for count, name in ranked if name and count >= least][:MOST_GROUPS])
