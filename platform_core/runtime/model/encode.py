"""Input encoding: columns to the model's matrix; training and the inference server share it, so they cannot differ."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loopline.platform_core.errors import ContractBroken

UNKNOWN = -1.0
"""Code of a category that the vocabulary does not hold."""
MISSING = float("nan")
_NUMBERS = frozenset({float, int, bool, type(None)})  # numpy turns null into NaN itself
_NUMERIC = "fiub"  # kinds of numpy's numeric types: float, signed, unsigned, truth value


class Encoder:
    """Encodes columns for one model; made once a model version, since a request may hold one row only.

    A column is an Arrow array, a numpy array or a sequence of values, one a row. A column in ``vocabulary`` holds
    text (str or UTF-8 bytes), one in ``widths`` vectors of so many numbers, every other one numbers or truth values.
    """

    def __init__(
        self,
        features: Sequence[str],
        vocabulary: Mapping[str, Sequence[str]],
        widths: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self.features = tuple(features)
        self._widths = dict(widths)
        self._codes = {name: _codes(categories) for name, categories in vocabulary.items()}
        self._places = [(place, self._codes[name]) for place, name in enumerate(self.features) if name in self._codes]

    def matrix(self, columns: Mapping[str, Any]) -> NDArray[np.float64]:
        """Encode columns; those beside ``features`` are not looked at.

        Returns:
            float64 (rows, columns) in C order: a missing value is NaN, a category its position in the vocabulary,
            an unknown one -1, a vector as many columns as it has numbers.

        Raises:
            ContractBroken: a feature is missing, has another length than the first, or holds what is no number.
        """
        encoded = [self._column(name, given(columns, name)) for name in self.features]
        rows = self._count_rows(encoded)
        if self._widths:
            sides = [np.asarray(column, dtype=np.float64).reshape(rows, -1) for column in encoded] if rows else []
            return np.concatenate(sides, axis=1) if sides else np.empty((0, self._total()))
        return np.ascontiguousarray(np.array(encoded, dtype=np.float64).reshape(len(encoded), rows).T)

    def rows(self, rows: Sequence[tuple[Any, ...]]) -> NDArray[np.float64]:
        """Encode rows of plain values in the order of ``features``; what comes out is what ``matrix`` gives.

        A request's few values are looked at and converted all at once: numpy's cost a call is most of what they cost.
        """
        if self._widths:
            return self.matrix(dict(zip(self.features, zip(*rows, strict=True), strict=True)))
        coded = [self._with_codes(row) for row in rows] if self._places else rows
        values = coded[0] if len(coded) == 1 else list(chain.from_iterable(coded))
        try:
            return np.frombuffer(array("d", values)).reshape(len(rows), len(self.features))
        except (TypeError, OverflowError):  # nulls and texts are no numbers, and whole numbers may be beyond float64
            pass
        if not _NUMBERS.issuperset(map(type, values)):
            return self.matrix(dict(zip(self.features, zip(*rows, strict=True), strict=True)))
        return np.array(values, dtype=np.float64).reshape(len(rows), len(self.features))

    def blank(self, rows: int) -> NDArray[np.float64]:
        """Return rows of zeros, for a model to be tried with."""
        return np.zeros((rows, self._total()))

    def _total(self) -> int:
        return sum(self._widths.get(name, 1) for name in self.features)

    def _with_codes(self, row: tuple[Any, ...]) -> Sequence[Any]:
        values = list(row)
        for place, codes in self._places:
            values[place] = _code(values[place], codes)
        return values

    def _count_rows(self, columns: Sequence[Any]) -> int:
        lengths = set(map(len, columns))
        if len(lengths) > 1:
            rows = len(columns[0])
            name, wrong = next((n, len(c)) for n, c in zip(self.features, columns, strict=True) if len(c) != rows)
            raise ContractBroken(
                f"feature {name!r} has {wrong} rows, {self.features[0]!r} has {rows}",
                "give every feature one value a row",
            )
        return lengths.pop() if lengths else 0

    def _column(self, name: str, values: Any) -> Sequence[float | None] | NDArray[np.float64]:
        width = self._widths.get(name)
        if width is not None:
            return vectors(name, plain(values), width)
        codes = self._codes.get(name)
        if codes is not None:
            return [_code(value, codes) for value in plain(values)]
        try:
            return numbers(values)
        except (TypeError, ValueError) as error:
            raise ContractBroken(f"feature {name!r}: {error}", "give numbers, truth values or null") from error


def matrix(
    columns: Mapping[str, Any],
    features: Sequence[str],
    vocabulary: Mapping[str, Sequence[str]],
    widths: Mapping[str, int] = MappingProxyType({}),
) -> NDArray[np.float64]:
    """Encode columns once; see ``Encoder``."""
    return Encoder(features, vocabulary, widths).matrix(columns)


def column_names(features: Sequence[str], widths: Mapping[str, int]) -> tuple[str, ...]:
    """Name the matrix's columns: a feature by its name, a vector's numbers by name and place.

    With a dot, since LightGBM and XGBoost refuse names with brackets.
    """
    each = ([f"{name}.{at}" for at in range(widths[name])] if name in widths else [name] for name in features)
    return tuple(chain.from_iterable(each))


def vectors(name: str, values: Iterable[Any], width: int) -> NDArray[np.float64]:
    """Put vectors side by side, a missing one as NaN throughout.

    Raises:
        ContractBroken: one has another length, or holds what is no number.
    """
    nothing = [MISSING] * width
    rows = [nothing if value is None else value for value in values]
    try:
        found = np.array(rows, dtype=np.float64).reshape(len(rows), -1) if rows else np.empty((0, width))
    except (TypeError, ValueError) as error:
        raise ContractBroken(f"feature {name!r}: {error}", f"give vectors of {width} numbers, or null") from error
    if found.shape != (len(rows), width) or any(isinstance(row, str | bytes) for row in rows):
        raise ContractBroken(f"feature {name!r} is no vector of {width} numbers", f"give {width} numbers, or null")
    return found


def _codes(categories: Sequence[str]) -> dict[str, float]:
    return {category: float(code) for code, category in enumerate(categories)}


def numbers(values: Any) -> Sequence[float | None] | NDArray[np.float64]:
    """Read a column of numbers or truth values; a missing one is None or NaN.

    Raises:
        TypeError, ValueError: it holds something else.
    """
    if isinstance(values, list | tuple) and _NUMBERS.issuperset(map(type, values)):
        return values
    if isinstance(values, np.ndarray) and values.dtype.kind in _NUMERIC:
        return values.astype(np.float64)
    return [number(value) for value in plain(values)]


def given(columns: Mapping[str, Any], name: str) -> Any:
    """Take a feature's column.

    Raises:
        ContractBroken: it is not there.
    """
    try:
        return columns[name]
    except KeyError:
        raise ContractBroken(f"feature {name!r} is not given", "give every feature of the model") from None


def plain(values: Any) -> Iterable[Any]:
    """Take an Arrow array apart without importing Arrow: the server has no need of it."""
    plain: Iterable[Any] = values.to_pylist() if hasattr(values, "to_pylist") else values
    return plain


def _code(value: Any, codes: Mapping[str, float]) -> float:
    if value is None:
        return MISSING
    return codes.get(value.decode(errors="replace") if isinstance(value, bytes) else str(value), UNKNOWN)


def number(value: Any) -> float:
    """Read a number or truth value; None is NaN.

    Raises:
        TypeError, ValueError: it is neither.
    """
    if value is None:
        return MISSING
    if isinstance(value, str | bytes):  # float("3") would hide that the caller sends text
        raise TypeError(f"{value!r} is text")
    return float(value)
