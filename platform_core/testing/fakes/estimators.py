"""Fake estimators that predict by a given function, without a fitting library."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from loopline.platform_core.metrics.metric import Floats

    Says = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Classifier:
    """One of probabilities (rows, classes)."""

    says: Says

    def predict_proba(self, x: Floats) -> Floats:
        """Return them."""
        return self.says(x)


@dataclass(frozen=True)
class Regressor:
    """One of a number (rows,)."""

    says: Says
    _estimator_type: ClassVar[str] = "regressor"

    def predict(self, x: Floats) -> Floats:
        """Return it."""
        return self.says(x)
