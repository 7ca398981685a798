"""Training examples: inputs and labels, split into rows to learn from, to choose by and to evaluate on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.foundation.names import LABEL
from loopline.platform_core.specs.examples import Examples
from loopline.platform_core.training.evaluate import Floats, Split, split
from loopline.platform_core.training.given import Encoded, encoded

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.runtime.model.given import Given
    from loopline.platform_core.specs.inputs import Inputs
    from loopline.platform_core.targets import Target


@dataclass(frozen=True, eq=False)
class Learnable:
    """Rows of a training set in order of event time: as a table, as the model is given them, and labels ``y``."""

    table: pa.Table
    features: tuple[str, ...]
    encoded: Encoded
    y: Floats
    parts: Split

    @property
    def x(self) -> Given:
        """Return the matrix, or what stands in its place."""
        return self.encoded.given

    def part(self, rows: slice) -> Examples:
        """Return what ``fit`` is given of some rows."""
        own, y, about = self.x[rows], self.y[rows], (self.encoded.columns, self.encoded.vocabulary)
        return Examples(np.empty((len(y), 0)), y, *about, own) if self.encoded.holds else Examples(own, y, *about)


def learnable(table: pa.Table, features: Sequence[str], target: Target, inputs: Inputs = "matrix") -> Learnable:
    """Split and encode; the vocabulary is the training rows', so that a category of later rows is as new as live.

    Raises:
        ContractBroken: a part lacks labels that differ, or a feature is of no type that the model takes.
    """
    parts = split(table, target)
    found = encoded(table, features, inputs, parts.train.stop)
    return Learnable(table, tuple(features), found, target.encoded(table.column(LABEL)), parts)


def drilled(table: pa.Table, factors: Mapping[str, float]) -> pa.Table:
    """Multiply named feature columns: the unit mistake that a rollout's judge must find.

    Of a vector each number is multiplied. A text is left empty by 0: it did not come.

    Raises:
        ContractBroken: there is no such column, or it is a text and the factor is not 0.
    """
    for name, factor in factors.items():
        if name not in table.column_names:
            raise ContractBroken(f"the drill names no feature: {name!r}", f"use one of {table.column_names}")
        wrong = _times(table.column(name).combine_chunks(), name, float(factor))
        table = table.set_column(table.column_names.index(name), name, wrong)
    return table


def _times(column: pa.Array, name: str, factor: float) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_fixed_size_list(column.type):
        size = column.type.list_size
        own = column.values.slice(column.offset * size, len(column) * size)
        return pa.FixedSizeListArray.from_arrays(_times(own, name, factor), size, mask=column.is_null())
    if pa.types.is_list(column.type):
        return pa.ListArray.from_arrays(column.offsets, _times(column.values, name, factor), mask=column.is_null())
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        if factor:
            raise ContractBroken(
                f"the drill multiplies {name!r}, which is a text, by {factor:g}", "write 0: left empty"
            )
        return pc.if_else(pc.is_valid(column), pa.scalar("", column.type), column)
    return pc.multiply(column.cast("float64"), factor)
