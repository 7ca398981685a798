"""A kind of model that is none of ours: three chances a row, answered as the name of the likeliest and all three."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import msgspec
import numpy as np
import pytest

from loopline.platform_core import targets
from loopline.platform_core.runtime.model import manifest as manifests
from loopline.platform_core.targets import Output, Target
from loopline.platform_core.testing.parts.model_packages import write_package

NAMES = ("blå", "", "röd%d")


@dataclass(frozen=True)
class Three(Target):
    """Its reading is the largest chance."""

    kind: ClassVar[str] = "three"
    searched: ClassVar[str] = ""
    of_segments: ClassVar[tuple[str, ...]] = ()
    of_life: ClassVar[tuple[str, ...]] = ()

    metrics = MappingProxyType[str, Any]({})
    outputs = Output("label", "BYTES"), Output("probabilities", "FP64", 3)
    width = 3

    def trouble(self, labels: Any) -> str:
        """Take all."""
        return ""

    def shortage(self, labels: Any) -> str:
        """Miss nothing."""
        return ""

    def predictions(self, estimator: Any, x: Any) -> Any:
        """Return chances."""
        return np.asarray(estimator.predict_proba(x), np.float64)

    def served(self, given: Any) -> Any:
        """Return chances."""
        return given

    def decided(self, raw: Any) -> Any:
        """Choose the likeliest."""
        return raw.argmax(axis=1)

    def reading(self, raw: Any) -> Any:
        """Return the largest."""
        return raw.max(axis=1)

    def answer(self, raw: Sequence[Any]) -> Mapping[str, list[Any]]:
        """Return names and chances."""
        return {"label": [NAMES[row.index(max(row))] for row in raw], "probabilities": list(raw)}

    def described(self, labels: Any) -> Mapping[str, float]:
        """Say nothing."""
        return {}


class Thirds:
    """An estimator whose first chance is a tenth of the amount, and whose others share the rest; it fails below 0."""

    def predict_proba(self, x: Any) -> Any:
        """Return (rows, 3).

        Raises:
            ValueError: an amount is negative.
        """
        if (x[:, 0] < 0).any():
            raise ValueError("a negative amount")
        first = x[:, 0] / 10
        return np.column_stack([first, (1 - first) / 4, (1 - first) * 3 / 4])


def chances(amount: float) -> list[float]:
    """Return what ``Thirds`` says of an amount."""
    first = amount / 10
    return [first, (1 - first) / 4, (1 - first) * 3 / 4]


@contextmanager
def installed(*kinds: type[Target]) -> Iterator[None]:
    """Let kinds be found as those of installed packages are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(targets, "_OURS", (*targets._OURS, *kinds))
        yield


def package_of(folder: Path, entity: str, target: Target | None = None) -> Path:
    """Package ``Thirds`` over an entity and its amount."""
    package = write_package(folder, Thirds(), target=target or Three())
    msgspec.structs.replace(manifests.load(package), entities=[entity]).save(package)
    return package
