"""What a team's ``fit`` is given, and how it reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Examples:
    """Rows to learn from, in order of event time.

    ``x`` is float64 (rows, features); a missing value is NaN and a category is its code in ``vocabulary``
    (unknown: -1). ``y`` is float64 (rows,). ``features`` names the columns of ``x``.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    features: tuple[str, ...]
    vocabulary: Mapping[str, tuple[str, ...]]

    @property
    def categorical(self) -> list[int]:
        """Return the positions of categorical columns in ``x``."""
        return [i for i, name in enumerate(self.features) if name in self.vocabulary]


class Estimator(Protocol):
    """What ``fit`` returns: a scikit-learn style classifier."""

    def predict_proba(self, x: NDArray[np.float64], /) -> NDArray[np.float64]:
        """Return (rows, 2) probabilities of the labels 0 and 1."""


class Pruned(Exception):  # noqa: N818 - a signal, not an error
    """The search has seen enough of this trial."""


Report = Callable[[int, float], None]
"""``report(step, score)`` tells the search how a trial goes; it raises ``Pruned`` to end a poor one."""
Params = Mapping[str, "str | float | int | bool"]
Fit = Callable[[Examples, Examples, Params, Report], Estimator]
"""``fit(train, valid, params, report)``; ``valid`` serves early stopping and the search, never training."""
