"""Watched inputs: numbers that a model derives from a feature for drift, such as a picture's brightness.

A reading is no feature and stands in no log. The profile's sample names the function, so that whoever counts a window
reads the same off what was logged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import compress
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa

from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.foundation.distance import Floats
from loopline.platform_core.runtime.model.given import Tensors
from loopline.platform_core.specs.import_path import imported
from loopline.platform_core.specs.inputs import Tensor

if TYPE_CHECKING:
    from loopline.platform_core.specs.model import Model

MARK = b"loopline.watched"
"""Metadata of an Arrow field: how its values are read off others."""


class Reading(msgspec.Struct, frozen=True):
    """A number a row that the function ``by`` (an import path) reads off the feature ``of``, a tensor of ``shape``."""

    by: str
    of: str
    shape: list[int]

    def read(self, values: Sequence[Any]) -> Floats:
        """Return a number a row, NaN where there is no tensor.

        Raises:
            InvalidSpec: the function is not there. ContractBroken: it returns something else.
        """
        width = int(np.prod(self.shape))
        there = [isinstance(one, list) and len(one) == width and None not in one for one in values]
        found = np.full(len(values), np.nan)
        if any(there):
            given = Tensors(self.of, self.shape).matrix({self.of: [*compress(values, there)]})
            numbers = np.asarray(imported(self.by)(given), dtype=np.float64)
            if numbers.shape != (len(given),):
                said = f"{self.by} returns shape {list(numbers.shape)} for {len(given)} tensors"
                raise ContractBroken(said, "let it return one number a row")
            found[there] = numbers
        return found


def with_readings(table: pa.Table, features: Sequence[str], model: Model) -> tuple[pa.Table, list[str]]:
    """Add what a model declares as ``watched`` to the rows of its training set; returns the columns' names as well."""
    names = [*features]
    if not isinstance(model.inputs, Tensor):
        return table, names
    for function in model.watched:
        reading = Reading(f"{function.__module__}:{function.__qualname__}", features[0], list(model.inputs.shape))
        found = pa.array(reading.read(table[features[0]].to_pylist()), pa.float64(), from_pandas=True)
        field = pa.field(function.__name__, pa.float64(), metadata={MARK: msgspec.json.encode(reading)})
        table = table.append_column(field, found)
        names.append(function.__name__)
    return table, names


def of_served(field: pa.Field, rows: Sequence[Mapping[str, Any]]) -> pa.Array | None:
    """Read such a column off logged features; None of a field that is none."""
    mark = (field.metadata or {}).get(MARK)
    if mark is None:
        return None
    reading = msgspec.json.decode(mark, type=Reading)
    return pa.array(reading.read([row.get(reading.of) for row in rows]), pa.float64(), from_pandas=True)
