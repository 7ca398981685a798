"""Prediction results: raw model outputs converted for the prediction log and the response, or why they failed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from loopline.platform_core.errors import Transient

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loopline.platform_core.targets import Target

Predicted: TypeAlias = tuple[list[float] | None, str, list[list[float]] | None]
"""The reading of each row, or None and what went wrong; and the numbers of each row where it has more than one."""


def read(target: Target, raw: NDArray[np.float64]) -> Predicted:
    """Read raw predictions, (rows,) or (rows, numbers); a row's only number is its own reading."""
    return _read_wide(target, raw) if raw.ndim > 1 else _checked(raw.tolist())


def read_each(target: Target, raw: NDArray[np.float64], lengths: Iterable[int]) -> list[Predicted]:
    """Read the raw predictions of requests of so many rows each, which the model was asked together."""
    parts = pairwise(accumulate(lengths, initial=0))
    if raw.ndim == 1:
        numbers: list[float] = raw.tolist()
        return [_checked(numbers[start:end]) for start, end in parts]
    readings, problem, rows = _read_wide(target, raw)
    if readings is None or rows is None:  # of one of them, maybe
        return [_read_wide(target, raw[start:end]) for start, end in parts]
    return [(readings[start:end], problem, rows[start:end]) for start, end in parts]


def _checked(numbers: list[float]) -> Predicted:
    return (numbers, "", None) if all(map(math.isfinite, numbers)) else failed(_NO_NUMBER)


def _read_wide(target: Target, raw: NDArray[np.float64]) -> Predicted:
    if not np.isfinite(raw).all():
        return failed(_NO_NUMBER)
    try:
        readings: list[float] = target.reading(raw).tolist()
    except Exception as error:  # noqa: BLE001 - a kind of model may come from anybody
        return failed(told(error))
    return (readings, "", raw.tolist()) if all(map(math.isfinite, readings)) else failed(_NO_NUMBER)


def failed(problem: str) -> Predicted:
    """Say why there is no prediction."""
    return None, problem, None


class Passing(str):
    """What a model raised that passes by itself: its own process is being started again."""

    __slots__ = ()


def told(error: Exception) -> str:
    """Say what a model raised."""
    return Passing(error) if isinstance(error, Transient) else f"{type(error).__name__}: {error}"


_NO_NUMBER = "a prediction is no number"
