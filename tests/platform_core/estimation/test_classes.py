"""Figures of classes before labels come: what chances mean is learnt class by class, and labels are drawn by it."""

from __future__ import annotations

import numpy as np
import pytest

from loopline.platform_core.estimation.class_meaning import ClassRows, OneOfClasses
from loopline.platform_core.estimation.evidence import Evidence
from loopline.platform_core.estimation.held_out import HeldOut, load
from loopline.platform_core.metrics import Figure
from loopline.platform_core.targets import Multiclass, Multilabel, Target

ONE, ANY = Multiclass(("bag", "lamp", "toy", "vase")), Multilabel(("bag", "lamp", "toy"))
MIX, OTHER_MIX = (1.5, 1.0, 0.6, 0.6), (0.6, 0.6, 1.0, 1.5)


def one_of(random: np.random.Generator, rows: int, mix: tuple[float, ...] = MIX) -> tuple[np.ndarray, np.ndarray]:
    """Draw chances and classes; the model is surer than it may be."""
    chances = random.dirichlet(mix, rows)
    came = (chances.cumsum(axis=1)[:, :-1] < random.random(rows)[:, None]).sum(axis=1).astype(float)
    said = chances**1.6
    return said / said.sum(axis=1, keepdims=True), came


def any_of(random: np.random.Generator, rows: int, moved: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Draw chances and which classes hold; the model is surer than it may be, and one class hangs by another."""
    logits = random.normal(size=(rows, 3)) + np.array([-1 + moved, 0.0, moved])
    came = random.random((rows, 3)) < 1 / (1 + np.exp(-logits))
    return 1 / (1 + np.exp(-1.7 * logits)), came.astype(float)


def guess(target: Target, held: HeldOut, said: np.ndarray) -> dict[str, Figure]:
    """Estimate by held-out rows alone."""
    none = np.zeros((0, *np.shape(held.labels)[1:]))
    meaning = Evidence(target.estimation, target, held, np.zeros(0, np.int64), said[:0], none).by(0)
    return {figure.metric: figure for figure in meaning.estimated(target, said, target.metrics.values())}


@pytest.mark.parametrize(("target", "world", "moved"), [(ONE, one_of, OTHER_MIX), (ANY, any_of, 0.7)])
def test_intervals_hold_what_is_realised_when_the_mix_has_moved(target: Target, world, moved, tmp_path) -> None:
    """Of all metrics that are estimated, in nearly 19 of 20 windows of 400 rows, with 2,500 rows held out."""
    random, times = np.random.default_rng(5), 16
    hits, off = dict.fromkeys(target.estimation.metrics(target), 0), 0.0
    for _ in range(times):
        target.estimation.held_out(target, *world(random, 2_500)).save(tmp_path, "held.json")
        said, came = world(random, 400, moved)
        found, real = guess(target, load(tmp_path, "held.json"), said), target.values(target.rows(came, said))
        assert set(found) == set(hits)
        for name, figure in found.items():
            hits[name] += figure.low <= real[name] <= figure.high
        off += abs(found["log_loss"].value - real["log_loss"]) / times
    assert all(count >= times - 3 for count in hits.values()), hits
    own = target.metrics["log_loss"]
    assert off < 0.6 * abs(own.value(target.rows(*world(random, 4_000)[::-1])) - real["log_loss"]) + 0.06


def test_a_class_is_moved_by_what_came_of_it() -> None:
    """The slope is found that undoes what the model says too surely; one that never came stays."""
    said, came = one_of(np.random.default_rng(6), 8_000)
    meaning = OneOfClasses.of(("accuracy",), ClassRows(said, came))
    assert meaning.line[0] == pytest.approx(1 / 1.6, abs=0.05)
    assert meaning(said).sum(axis=1) == pytest.approx(np.ones(len(said)))
    known = came < 3
    without = OneOfClasses.of(("accuracy",), ClassRows(said[known], came[known]))
    assert np.isfinite(without.line).all()
    assert without(said).mean(axis=0)[3] < 0.02


def test_older_rows_count_where_they_agree() -> None:
    """Wald's test tells a season in which chances meant something else."""
    random = np.random.default_rng(7)
    same, again = (OneOfClasses.of((), ClassRows(*one_of(random, 3_000))) for _ in range(2))
    said, came = one_of(random, 3_000)
    other = OneOfClasses.of((), ClassRows(said, np.where(came == 0, 1.0, came)))
    assert same.agrees(again)
    assert not same.agrees(other)
