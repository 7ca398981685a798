"""What the drift benchmarks promise, on a few of their shapes and windows: enough to fail where it is broken."""

from __future__ import annotations

import warnings
from functools import cache, partial

import pytest

from benchmarks.drift import agreement, others, shapes, shop
from benchmarks.drift.alarms import power, quiet, shifted
from loopline.platform_core.monitor.drift.profile import Profile


@cache
def reference() -> Profile:
    """Profile the shop's rows."""
    return shop.reference(0)


@pytest.fixture(autouse=True)
def _without_warnings() -> None:
    """Evidently's functions warn of what does not matter here."""
    warnings.simplefilter("ignore")


def test_verdicts_are_evidentlys_on_shapes_of_every_family() -> None:
    """Every fourth shape of numbers: the same verdict at 0.1, and a distance within 0.0005 of Evidently's."""
    found = agreement.numeric(range(0, shapes.NUMERIC, 4))
    assert [pair.name for pair in found if not pair.agrees] == []
    assert max(abs(pair.ours - pair.evidently) for pair in found) < 0.0005
    assert 10 < sum(pair.evidently >= 0.1 for pair in found) < len(found)


def test_verdicts_are_evidentlys_on_categories() -> None:
    """Every second shape of categories: the same distance but for rounding, quiet ones and moved ones."""
    found = agreement.categorical(range(0, shapes.CATEGORICAL, 2))
    assert max(abs(pair.ours - pair.evidently) for pair in found) < 1e-9
    assert 10 < sum(pair.evidently >= 0.1 for pair in found) < len(found)


@pytest.mark.parametrize(("size", "windows"), [(100, 40), (500, 30)])
def test_a_quiet_shop_does_not_alarm(size: int, windows: int) -> None:
    """No alarm in any window of a shop that does not change, of thousands of articles, texts and vectors."""
    found = quiet(reference(), size, windows, seed=5)
    assert found.alarms == 0
    assert found.any_column <= 0.2 * windows
    assert found.plain > 0.5 * windows  # what Evidently's own thresholds would have said


def test_half_a_deviation_is_found_in_500_rows() -> None:
    """A shift by half a deviation is always found, by three tenths nearly always, and by nothing hardly ever."""
    found = {
        by: power(reference(), 500, 20, shop.COLUMN, partial(shifted, shop.COLUMN, by, reference()))
        for by in (0, 0.3, 0.5)
    }
    assert found[0.5] == 1.0
    assert found[0.3] >= 0.9
    assert found[0] <= 0.05


def test_other_kinds_agree_with_evidentlys_methods_for_them() -> None:
    """Texts and vectors that moved are found by both, quiet ones by none; a correlation only by ours."""
    found = [*others.vectors(), *others.together(), *others.texts()]
    assert all(verdicts.ours == verdicts.moved for verdicts in found)
    assert [verdicts.what for verdicts in found if verdicts.evidently != verdicts.moved] == ["correlation 0.8 → 0.2"]
