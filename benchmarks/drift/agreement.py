"""Are our verdicts Evidently's own? Its stat-test functions, over generated shapes, beside our profiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.drift import shapes
from benchmarks.drift.shapes import Shape
from loopline.platform_core.monitor.drift.profile import Profile, build_profile
from loopline.platform_core.monitor.drift.threshold import FLOOR


@dataclass(frozen=True)
class Pair:
    """Both scores of one shape."""

    name: str
    ours: float
    evidently: float

    @property
    def agrees(self) -> bool:
        """Say whether both find drift at Evidently's own threshold, or both do not."""
        return (self.ours >= FLOOR) == (self.evidently >= FLOOR)


def numeric(numbers: Sequence[int]) -> list[Pair]:
    """Compare the normed Wasserstein distance, Evidently's for numbers."""
    return [_pair(shapes.numeric(number), "num", "wasserstein") for number in numbers]


def categorical(numbers: Sequence[int]) -> list[Pair]:
    """Compare the Jensen-Shannon distance, Evidently's for categories; both see the same names."""
    return [_pair(shapes.folded(shapes.categorical(number)), "cat", "jensenshannon") for number in numbers]


def unfolded(numbers: Sequence[int]) -> list[Pair]:
    """Compare it where only Evidently sees every name of more than ``TOP``."""
    many = [shape for number in numbers if len(set((shape := shapes.categorical(number)).reference.to_pylist())) > 50]
    return [_pair(shape, "cat", "jensenshannon") for shape in many]


def profiled(values: pa.Array) -> Profile:
    """Profile one column, called x."""
    return build_profile(pa.table({"x": values}), ["x"], np.zeros(len(values)))


def _pair(shape: Shape, kind: str, test: str) -> Pair:
    from evidently.legacy.calculations import stattests
    from evidently.legacy.core import ColumnType

    column = profiled(shape.reference).columns["x"]
    (part,) = column.measure(column.count(pa.chunked_array([shape.window])))
    sides: list[Any] = [side.to_pandas() for side in (shape.reference, shape.window)]
    found = getattr(stattests, f"{test}_stat_test").func(*sides, ColumnType(kind), FLOOR)
    return Pair(shape.name, part.score, float(found[0]))
