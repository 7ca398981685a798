"""Explanations of predictions: exact contributions of columns, for trees and additive models.

What columns contribute adds up, with a base, to what the model says before its link: the logarithm of the odds where
it gives a probability, the logarithm of a count, the number itself. Nothing of it is loaded before somebody asks, so a
plain request costs what it did.
"""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from loopline.platform_core.errors import Unsupported
from loopline.platform_core.runtime.model import additive
from loopline.platform_core.runtime.model.encode import column_names
from loopline.platform_core.runtime.model.lightgbm_native import Booster
from loopline.platform_core.runtime.wire.outputs import Outputs
from loopline.platform_core.targets import Output

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from loopline.platform_core.runtime.model.files import Package
    from loopline.platform_core.runtime.model.manifest import Manifest
    from loopline.platform_core.targets import Target

    Floats = NDArray[np.float64]

CONTRIBUTIONS, BASE = "contributions", "base"
"""Outputs of an answer that explains: a number a column, in the order of ``columns``, and where they begin."""
_TREES = "lightgbm"


class Explanation(NamedTuple):
    """What columns contribute, (rows, columns), and the base, (rows,)."""

    contributions: Floats
    base: Floats


class Explainer:
    """Explains what one package predicts; may be asked by several threads at once."""

    def __init__(self, package: Package, manifest: Manifest, target: Target) -> None:
        self._package, self._manifest, self._target = package, manifest, target
        widths = {field.name: field.width for field in manifest.features if field.width}
        self.columns = column_names([field.name for field in manifest.features], widths)
        self._loading = threading.Lock()

    @cached_property
    def trouble(self) -> str:
        """Say why this version cannot be explained, "" where it can."""
        if self._manifest.kind == _TREES or additive.is_there(self._package):
            return ""
        return f"its {self._manifest.kind} form is neither trees of LightGBM nor a sum of its columns"

    @cached_property
    def form(self) -> Outputs:
        """Return the outputs of an answer that explains."""
        width = len(self.columns)
        return Outputs((*self._target.outputs, Output(CONTRIBUTIONS, "FP64", width), Output(BASE, "FP64")))

    def explain(self, matrix: Floats, raw: Floats) -> Explanation:
        """Explain rows, of which ``raw`` is what was predicted.

        Raises:
            Unsupported: see ``trouble``. ContractBroken: LightGBM refuses.
        """
        if self.trouble:
            raise Unsupported(f"{self._manifest.model} cannot be explained: {self.trouble}", FIX)
        each = self._parts(matrix)
        if (
            each.shape[1] == 1 and self._target.width > 1
        ):  # of two numbers the second is there, and the first is less it
            of_rows = each[:, 0] * np.where(self._target.explained(raw) == 1, 1.0, -1.0)[:, None]
        else:
            of_rows = each[np.arange(len(each)), self._target.explained(raw)]
        return Explanation(of_rows[:, :-1], of_rows[:, -1])

    @property
    def _parts(self) -> Callable[[Floats], Floats]:
        with self._loading:
            return self._loaded

    @cached_property
    def _loaded(self) -> Callable[[Floats], Floats]:
        if self._manifest.kind == _TREES:
            file = self._package.joinpath(self._manifest.file)
            counts = tuple({1, self._target.width})
            return Booster(file, self._manifest.width, counts).contributions
        return additive.load(self._package).contributions


def shares(columns: Sequence[str], moved: Floats) -> dict[str, float]:
    """Return by which share of the whole each column moved rows, the largest first; they add up to 1."""
    each = dict(zip(columns, (moved / (moved.sum() or 1.0)).tolist(), strict=True))
    return {name: each[name] for name in sorted(each, key=lambda name: -each[name])}


FIX = "let 'fit' return trees of LightGBM, or a linear model of scikit-learn"
