"""Input of a team's ``fit`` (features and labels), the estimator's interface, and progress reports to the search."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Examples:
    """Rows to learn from, in order of event time.

    ``x`` is float64 (rows, features); a missing value is NaN and a category is its code in ``vocabulary``
    (unknown: -1). ``y`` is float64 (rows,), or (rows, numbers) where a label has several: the labels as the model's
    target encodes them, such as a class's position among the declared ones. ``features`` names the columns of ``x``.

    ``Model(inputs="columns")``: ``table`` holds the features, one column each, and ``x`` has none. Numbers and truth
    values are float64, texts are as they are, lists have any length but 0, and what is missing is null.
    ``Model(inputs=Tensor(shape=(8, 8)))``: ``x`` is float32 (rows, 8, 8).
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    features: tuple[str, ...]
    vocabulary: Mapping[str, tuple[str, ...]]
    table: pa.Table | None = None

    @property
    def given(self) -> Any:
        """Return what the estimator is asked with, ``x`` or ``table``, as it will be where it is served."""
        return self.x if self.table is None else self.table

    @property
    def categorical(self) -> list[int]:
        """Return the positions of categorical columns in ``x``."""
        return [i for i, name in enumerate(self.features) if name in self.vocabulary]


class Classifier(Protocol):
    """A scikit-learn style classifier; ``x`` is what ``Examples.given`` gives: matrix, table or tensor."""

    def predict_proba(self, x: Any, /) -> NDArray[np.float64]:
        """Return (rows, classes) probabilities: of the labels 0 and 1, or of the classes in their declared order."""


class Regressor(Protocol):
    """A scikit-learn style regressor, or LightGBM's own booster."""

    def predict(self, x: Any, /) -> NDArray[np.float64]:
        """Return (rows,) numbers."""


Estimator = Classifier | Regressor
"""What ``fit`` returns; which of both, the model's target says."""


class Pruned(Exception):  # noqa: N818 - a signal, not an error
    """The search has seen enough of this trial."""


Report = Callable[[int, float], None]
"""``report(step, score)`` tells the search how a trial goes; it raises ``Pruned`` to end a poor one."""
Params = Mapping[str, "str | float | int | bool"]
Fit = Callable[[Examples, Examples, Params, Report], Estimator]
"""``fit(train, valid, params, report)``; ``valid`` serves early stopping and the search, never training."""
