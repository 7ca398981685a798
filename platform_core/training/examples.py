"""A training set as a model sees it: the matrix, the labels, and who learns from which rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.foundation.names import LABEL
from loopline.platform_core.specs.examples import Examples
from loopline.platform_core.training import encode
from loopline.platform_core.training.evaluate import Floats, Split, split

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, eq=False)
class Learnable:
    """Rows of a training set in order of event time: as a table, and as matrix ``x`` and labels ``y``."""

    table: pa.Table
    features: tuple[str, ...]
    vocabulary: Mapping[str, tuple[str, ...]]
    x: Floats
    y: Floats
    parts: Split
    widths: Mapping[str, int]

    @property
    def columns(self) -> tuple[str, ...]:
        """Name the matrix's columns."""
        return encode.column_names(self.features, self.widths)

    def part(self, rows: slice) -> Examples:
        """Return what ``fit`` is given of some rows."""
        return Examples(self.x[rows], self.y[rows], self.columns, self.vocabulary)


def learnable(table: pa.Table, features: Sequence[str]) -> Learnable:
    """Split and encode; the vocabulary is the training rows', so that a category of later rows is as new as live.

    Raises:
        ContractBroken: a part lacks one of the labels, or a feature is neither text nor number.
    """
    parts = split(table)
    vocabulary = encode.vocabulary(table.slice(0, parts.train.stop), features)
    widths = encode.widths(table, features)
    x = encode.matrix({name: table.column(name) for name in features}, features, vocabulary, widths)
    y = np.asarray(table.column(LABEL).to_numpy(), dtype=np.float64)
    return Learnable(table, tuple(features), vocabulary, x, y, parts, widths)


def drilled(table: pa.Table, factors: Mapping[str, float]) -> pa.Table:
    """Multiply named feature columns: the unit mistake that a rollout's judge must find.

    Raises:
        ContractBroken: there is no such numeric column.
    """
    import pyarrow.compute as pc

    for name, factor in factors.items():
        if name not in table.column_names:
            raise ContractBroken(f"the drill names no feature: {name!r}", f"use one of {table.column_names}")
        wrong = pc.multiply(table.column(name).cast("float64"), float(factor))
        table = table.set_column(table.column_names.index(name), name, wrong)
    return table
