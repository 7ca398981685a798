"""Input encoding for models that take an Arrow table or a tensor; training and the server share it.

Arrow is imported where such a table is made: a server of matrices has no need of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.runtime.model import encode

if TYPE_CHECKING:
    import pyarrow as pa

Given: TypeAlias = Any
"""A matrix or tensor (numpy's), or an Arrow table: each has a length, and can be cut by slices of rows."""
NUMBER, TEXT, NUMBERS, TEXTS = "number", "text", "numbers", "texts"
"""What a column holds in each row; the latter two are lists."""

_WANTED = {NUMBER: "numbers or truth values", TEXT: "texts", NUMBERS: "lists of numbers", TEXTS: "lists of texts"}


class Encoding(Protocol):
    """Puts together what one model version is given."""

    def matrix(self, columns: Mapping[str, Any]) -> Given:
        """Encode columns, each an Arrow array, a numpy array or a sequence of values, one a row."""

    def rows(self, rows: Sequence[tuple[Any, ...]]) -> Given:
        """Encode rows of plain values in the order of the features."""

    def blank(self, rows: int) -> Given:
        """Return rows of nothing much, for a model to be tried with."""


class Columns:
    """Makes tables; ``holds`` says of each feature what it holds, ``widths`` how long those lists are that are vectors.

    A number or truth value becomes float64. NaN, and a list without anything in it, are missing: null.
    """

    def __init__(self, holds: Mapping[str, str], widths: Mapping[str, int]) -> None:
        import pyarrow as pa

        number, text = pa.float64(), pa.string()
        types = {NUMBER: number, TEXT: text, NUMBERS: pa.list_(number), TEXTS: pa.list_(text)}
        self._holds, self._widths = dict(holds), dict(widths)
        self.schema = pa.schema([(name, types[held]) for name, held in holds.items()])

    def matrix(self, columns: Mapping[str, Any]) -> pa.Table:
        """Put columns side by side; those beside the features are not looked at.

        Raises:
            ContractBroken: a feature is missing, has another length than the first, or holds something else.
        """
        import pyarrow as pa

        arrays = [self._column(field, encode.given(columns, field.name)) for field in self.schema]
        if len(set(map(len, arrays))) > 1:
            sizes = ", ".join(f"{field.name}: {len(found)}" for field, found in zip(self.schema, arrays, strict=True))
            raise ContractBroken(f"features differ in rows ({sizes})", "give every feature one value a row")
        return pa.Table.from_arrays(arrays, schema=self.schema)

    def rows(self, rows: Sequence[tuple[Any, ...]]) -> pa.Table:
        """Turn rows into columns."""
        columns = zip(*rows, strict=True) if rows else [()] * len(self.schema)
        return self.matrix(dict(zip(self.schema.names, columns, strict=True)))

    def blank(self, rows: int) -> pa.Table:
        """Return zeros, empty texts, and lists of one of them."""
        one = {
            name: {NUMBER: 0.0, TEXT: "", NUMBERS: [0.0] * self._widths.get(name, 1), TEXTS: [""]}[held]
            for name, held in self._holds.items()
        }
        return self.matrix({name: [value] * rows for name, value in one.items()})

    def _column(self, field: pa.Field, values: Any) -> pa.Array:
        import pyarrow as pa

        try:
            found = _array(self._holds[field.name], field.type, values)
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise self._broken(field.name, str(error)) from error
        width = self._widths.get(field.name)
        if width is not None and len(found) > found.null_count:
            lengths = set(found.value_lengths().drop_null().unique().to_pylist())
            if lengths != {width}:
                raise self._broken(field.name, f"a vector of {min(lengths)} to {max(lengths)} numbers")
        return found

    def _broken(self, name: str, why: str) -> ContractBroken:
        width = self._widths.get(name)
        what = f"vectors of {width} numbers" if width else _WANTED[self._holds[name]]
        return ContractBroken(f"feature {name!r}: {why}", f"give {what}, or null")


class Tensors:
    """Makes float32 tensors (rows, *``shape``) of one feature, a vector; a missing one is NaN throughout."""

    def __init__(self, feature: str, shape: Sequence[int]) -> None:
        self._feature, self._shape, self._width = feature, tuple(shape), prod(shape)

    def matrix(self, columns: Mapping[str, Any]) -> NDArray[np.float32]:
        """Put vectors one after another; columns beside the feature are not looked at.

        Raises:
            ContractBroken: the feature is missing, or holds other than vectors of that many numbers.
        """
        vectors = encode.vectors(self._feature, encode.plain(encode.given(columns, self._feature)), self._width)
        return vectors.astype(np.float32).reshape(-1, *self._shape)

    def rows(self, rows: Sequence[tuple[Any, ...]]) -> NDArray[np.float32]:
        """Take the only value of each row."""
        return self.matrix({self._feature: [vector for (vector,) in rows]})

    def blank(self, rows: int) -> NDArray[np.float32]:
        """Return zeros."""
        return np.zeros((rows, *self._shape), dtype=np.float32)


def together(parts: Sequence[Given]) -> Given:
    """Put what several requests give one after another."""
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    import pyarrow as pa

    return pa.concat_tables(parts)


def _array(holds: str, kind: pa.DataType, values: Any) -> pa.Array:
    """Return one Arrow array; what is missing is null."""
    import pyarrow as pa

    if holds == NUMBER:
        return pa.array(np.asarray(encode.numbers(values), dtype=np.float64), kind, from_pandas=True)
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if isinstance(values, pa.Array):
        return _without_empty(values.cast(kind))
    if holds == TEXT:
        return pa.array([_text(value) for value in values], kind)
    return pa.array([_listed(holds, value) for value in values], kind)


def _without_empty(found: pa.Array) -> pa.Array:
    """Let an empty list be null."""
    import pyarrow as pa
    from pyarrow import compute

    if not pa.types.is_list(found.type):
        return found
    return compute.if_else(compute.equal(compute.list_value_length(found), 0), pa.scalar(None, found.type), found)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    raise TypeError(f"{value!r} is no text")


def _listed(holds: str, value: Any) -> list[Any] | None:
    if value is None:
        return None
    if isinstance(value, str | bytes):
        raise TypeError(f"{value!r} is no list")
    one = _text if holds == TEXTS else encode.number
    return [one(each) for each in value] or None
