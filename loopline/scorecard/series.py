"""Time-ordered cases, of which any time window is found by two binary searches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from loopline.scorecard.definitions import MONTH_DAYS, QUARTER_DAYS
from loopline.scorecard.figure import ORGANISATION

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

DAY = 86_400.0
QUARTER = QUARTER_DAYS * DAY
MONTH = MONTH_DAYS * DAY


@dataclass(frozen=True)
class Series:
    """Cases in order of time (seconds since 1970), each with figures in columns of the same length."""

    at: Numbers
    columns: Mapping[str, Numbers]

    @classmethod
    def of(cls, rows: Iterable[Sequence[float]], *names: str) -> Series:
        """Take rows of a time and the named figures."""
        table = np.array(list(rows), dtype=np.float64).reshape(-1, 1 + len(names))
        table = table[np.argsort(table[:, 0], kind="stable")]
        return cls(table[:, 0], {name: table[:, i + 1] for i, name in enumerate(names)})

    def window(self, until: float, seconds: float = QUARTER) -> dict[str, Numbers]:
        """Return the figures of the cases after ``until`` less ``seconds``, and by ``until``."""
        first, last = np.searchsorted(self.at, [until - seconds, until], side="right")
        return {name: values[first:last] for name, values in self.columns.items()}

    def count(self, until: float, seconds: float = QUARTER) -> int:
        """Count the cases of a window."""
        first, last = np.searchsorted(self.at, [until - seconds, until], side="right")
        return int(last - first)


def scopes(team: str, model: str) -> set[str]:
    """Return the scopes to which a model belongs: the organisation, its team, and itself as ``team/model``."""
    return {ORGANISATION, team, f"{team}/{model}"}


def within(scope: str, team: str, model: str) -> bool:
    """Say whether a model belongs to a scope."""
    return scope in scopes(team, model)
