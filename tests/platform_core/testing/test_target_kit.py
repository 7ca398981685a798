"""The kit of kinds of models catches a kind that breaks any one promise, and by that promise alone."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from target_mutants import heavy, kinds

from loopline.platform_core.specs import Binary, Count, Forecast, Multiclass, Ranking, Regression, Target
from loopline.platform_core.testing import target_samples
from loopline.platform_core.testing.promised.promises import promises, tried_by
from loopline.platform_core.testing.target import Sample, TargetKit

SETTINGS: dict[type[Target], dict[str, Any]] = {
    Binary: {"threshold": 0.3},
    Multiclass: {"classes": target_samples.CLASSES},
    Regression: {"unit": "GBP", "largest_error": 100.0},
    Count: {"largest_error": 20.0},
    Ranking: {"items": target_samples.ITEMS, "k": target_samples.LISTED},
    Forecast: {"horizon": 3, "season": 2, "history": 4, "unit": "pieces", "levels": ("group",)},
}
SAMPLES = {
    Binary: target_samples.binary(),
    Multiclass: target_samples.multiclass(),
    Regression: target_samples.regression(),
    Count: target_samples.count(),
    Ranking: target_samples.ranking(),
    Forecast: target_samples.forecast(),
}
MUTANTS = [heavy.Heavy, *kinds.MUTANTS]


def broken(target: Target, sample: Sample) -> set[int]:
    """Return the promises of which a test fails, whatever it fails with."""
    found = set()
    given = {"target": target, "sample": sample}
    for number, name, test in tried_by(TargetKit):
        wanted = given.keys() & inspect.signature(test).parameters
        try:
            getattr(TargetKit(), name)(**{each: given[each] for each in wanted})
        except Exception:  # noqa: BLE001 - a kind that raises breaks its promise as well
            found.add(number)
    return found


def named(mutant: type[Target]) -> int:
    """Return the promise that a mutant says it breaks."""
    found = re.match(r"Breaks promise (\d+):", mutant.__doc__ or "")
    assert found
    return int(found[1])


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_the_kit_catches(mutant: type[Target]) -> None:
    """Each mutant breaks the promise that it names, and no other one."""
    base = next(one for one in SETTINGS if issubclass(mutant, one))
    assert broken(mutant(**SETTINGS[base]), SAMPLES[base]) == {named(mutant)}


def test_every_promise_has_a_mutant() -> None:
    """Without one nobody knows that its test tests anything."""
    assert {named(mutant) for mutant in MUTANTS} == set(promises(Target))
