"""Additive model as tables: what each column contributes at each value; used for explanations.

``additive.json`` lies in packages of such models, beside the form that answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from loopline.platform_core.runtime.model.files import Package

    Floats = NDArray[np.float64]

FILE = "additive.json"


class Column(msgspec.Struct, frozen=True):
    """What one column adds to each of the model's numbers.

    A number adds ``slope`` times itself and ``at_zero``, a category what ``codes`` holds for it and an unknown one
    ``at_zero``; either adds ``missing`` where there is none. Each is a list of one entry a number of the model, and
    ``codes`` one of such lists; a number has no codes.
    """

    slope: list[float]
    at_zero: list[float]
    missing: list[float]
    codes: list[list[float]] = []

    def added(self, values: Floats) -> Floats:
        """Return what values of the column add: (rows, numbers)."""
        if self.codes:
            table = np.array([*self.codes, self.at_zero])
            known = np.isfinite(values) & (values >= 0) & (values < len(self.codes))
            found = table[np.where(known, values, len(self.codes)).astype(np.int64)]
        else:
            found = values[:, None] * np.array(self.slope) + np.array(self.at_zero)
        return np.where(np.isnan(values)[:, None], np.array(self.missing), found)


class Additive(msgspec.Struct, frozen=True):
    """The columns in their order, and what the model says at their middle, for each of its numbers."""

    base: list[float]
    columns: list[Column]

    def contributions(self, matrix: Floats) -> Floats:
        """Return by how much each column moves each number: (rows, numbers, columns + 1), the base last."""
        each = [column.added(matrix[:, place]) for place, column in enumerate(self.columns)]
        return np.stack([*each, np.broadcast_to(np.array(self.base), (len(matrix), len(self.base)))], axis=2)

    def save(self, package: Path) -> None:
        """Write it into a package."""
        package.joinpath(FILE).write_bytes(msgspec.json.encode(self))


_decode = msgspec.json.Decoder(Additive).decode


def is_there(package: Package) -> bool:
    """Say whether a package holds one."""
    return package.joinpath(FILE).exists()


def load(package: Package) -> Additive:
    """Read it from a package."""
    return _decode(package.joinpath(FILE).read_bytes())
