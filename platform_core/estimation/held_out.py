"""Held-out rows in a model package: predictions and labels of rows that the version was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

NEWEST_ROWS = 2_000
"""Rows that always count. Of 500 to 3,000 the one with the smallest error in ``benchmarks/estimated_quality``."""


class HeldOut(msgspec.Struct, frozen=True):
    """Raw predictions and labels (numbers, or lists of numbers) of held-out rows, the newest in order of time.

    Of rows before the newest there are counts, as their way to estimate sums them up.
    """

    scores: list[Any]
    labels: list[Any]
    older: Sequence[tuple[float, ...]] = ()

    def save(self, package: Path, file: str) -> None:
        """Write them into a package."""
        package.joinpath(file).write_bytes(msgspec.json.encode(self))


NONE = HeldOut([], [])


def load(package: Path, file: str) -> HeldOut:
    """Read the rows of a package; none where it was made without them."""
    try:
        return msgspec.json.decode(package.joinpath(file).read_bytes(), type=HeldOut)
    except FileNotFoundError:
        return NONE
