"""Text, vectors and all columns together: quiet where nothing moved, found where something did, told in words."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pyarrow as pa
import pytest

from loopline.platform_core.monitor.drift.columns import CategoryColumn, EmbeddingColumn, TextColumn
from loopline.platform_core.monitor.drift.drift_verdicts import JOINT, ColumnVerdict
from loopline.platform_core.monitor.drift.profile import Profile, build_profile
from loopline.platform_core.monitor.drift.window import judge_table, judge_window
from loopline.platform_core.specs import Drift

DIMENSIONS = 32
VOCABULARY = np.array([f"word{number}" for number in range(2_000)])
FREQUENT = 1 / np.arange(1, 2_001)


def texts(random: np.random.Generator, rows: int, length: float = 12, mended: float = 0.0) -> list[str]:
    """Write texts of frequent and rare words; a share of them says that something broke."""
    counts = random.poisson(length, rows) + 1
    drawn = random.choice(VOCABULARY, counts.sum(), p=FREQUENT / FREQUENT.sum())
    parts = np.split(drawn, counts.cumsum()[:-1])
    broke = random.random(rows) < mended
    return [
        " ".join(part) + " arrived broken, please mend it" * bool(bad) for part, bad in zip(parts, broke, strict=True)
    ]


def vectors(random: np.random.Generator, rows: int, shift: float = 0.0, scale: float = 1.0) -> list[list[float]]:
    """Draw vectors whose coordinates go together."""
    mixed = np.random.default_rng(7).normal(size=(DIMENSIONS, DIMENSIONS)) / np.sqrt(DIMENSIONS)
    return ((random.normal(size=(rows, DIMENSIONS)) @ mixed + shift) * scale).tolist()


def drawn(seed: int, rows: int, **moved: float) -> dict[str, object]:
    """Draw columns of every kind; ``rise`` is how much of ``paid`` is ``ordered``."""
    random = np.random.default_rng(seed)
    ordered, noise, rise = random.normal(size=rows), random.normal(size=rows), moved.pop("rise", 0.9)
    return {
        "ordered": ordered,
        "paid": rise * ordered + np.sqrt(1 - rise**2) * noise,
        "country": random.choice(["DE", "FR", "UK"], rows).tolist(),
        "comment": texts(random, rows, **{k: v for k, v in moved.items() if k in ("length", "mended")}),
        "meaning": vectors(random, rows, **{k: v for k, v in moved.items() if k in ("shift", "scale")}),
    }


@cache
def reference() -> Profile:
    """Profile 6,000 rows."""
    table = pa.table(drawn(0, 6_000))
    return build_profile(table, table.column_names, np.random.default_rng(1).random(6_000))


def judged(seed: int, rows: int = 500, **moved: float) -> dict[str, ColumnVerdict]:
    """Judge a window as the prediction log carries it."""
    columns = drawn(seed, rows, **moved)
    served = [json.dumps(dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]
    window = pa.table({"features": served, "score": np.random.default_rng(seed).random(rows)})
    return dict(judge_window(reference(), window).columns)


def test_kinds_are_found_in_the_data() -> None:
    """Distinct strings of several words are text, lists of numbers vectors; a name of one word is a category."""
    columns = reference().columns
    assert isinstance(columns["comment"], TextColumn)
    assert isinstance(columns["meaning"], EmbeddingColumn)
    assert isinstance(columns["country"], CategoryColumn)
    names = pa.table({"id": [f"customer{n}" for n in range(1_000)]})
    assert isinstance(build_profile(names, ["id"], np.ones(1_000)).columns["id"], CategoryColumn)


def test_kinds_can_be_declared() -> None:
    """What the rule names is text, or a category, whatever the data look like."""
    table = pa.table({"said": ["yes", "no"] * 50, "title": [f"a long title {n}" for n in range(100)]})
    rule = Drift(texts=("said",), categories=("title",))
    columns = build_profile(table, table.column_names, np.ones(100), rule=rule).columns
    assert isinstance(columns["said"], TextColumn)
    assert isinstance(columns["title"], CategoryColumn)


@pytest.mark.parametrize("rows", [100, 500, 2_000])
def test_quiet_windows_are_quiet_in_every_kind(rows: int) -> None:
    """Of ten windows of any size hardly one shows drift in any column, of whatever kind, or in all together."""
    found = [
        judge_table(reference(), pa.table(drawn(seed, rows) | {"score": np.random.default_rng(seed).random(rows)}))
        for seed in range(100, 110)
    ]
    assert sum(bool(verdict.drifted) for verdict in found) <= 2
    assert {verdict.kind for verdict in found[0].columns.values()} == {
        "numeric",
        "category",
        "text",
        "embedding",
        "joint",
    }


def test_new_words_drift_and_are_named() -> None:
    """Texts of which a fourth say something new have drifted, and the words are told."""
    found = judged(1, mended=0.25)
    assert [name for name, one in found.items() if one.drifted] == ["comment"]
    assert "'broken' in 0% → 2" in found["comment"].moved


def test_longer_texts_of_the_same_words_drift() -> None:
    """Twice as many words of the same kind move no word's share, but the length."""
    found = judged(2, length=24)["comment"]
    assert found.drifted
    assert "13 → 24.9 words a text" in found.moved


@pytest.mark.parametrize("moved", [{"shift": 0.3}, {"scale": 1.4}])
def test_moved_vectors_drift(moved: dict[str, float]) -> None:
    """A shift of all coordinates by 0.3 and longer vectors are found, and nothing else is."""
    found = judged(3, **moved)
    assert [name for name, one in found.items() if one.drifted] == ["meaning"]
    assert "means of coordinates moved by" in found["meaning"].moved


def test_a_shift_of_vectors_is_measured_in_deviations() -> None:
    """The kernel's distance reads like the shift of a number: 0.3 deviations in each coordinate are about 0.3."""
    table = pa.table({"v": np.random.default_rng(0).normal(size=(4_000, 16)).tolist()})
    profile = build_profile(table, ["v"], np.ones(4_000))
    moved = (np.random.default_rng(1).normal(size=(4_000, 16)) + 0.3).tolist()
    window = pa.table({"v": moved, "score": np.ones(4_000)})
    assert judge_table(profile, window).columns["v"].score == pytest.approx(0.3, abs=0.05)


def test_a_correlation_that_no_column_shows_drifts_jointly() -> None:
    """Where paid no longer follows ordered, each column looks as ever, and the classifier names both."""
    found = judged(4, rise=0.4)
    assert [name for name, one in found.items() if one.drifted] == [JOINT]
    assert found[JOINT].score >= found[JOINT].threshold >= 0.55
    assert found[JOINT].moved == "ordered with paid"


def test_vectors_of_another_size_are_missing() -> None:
    """A vector with other dimensions, or a value that is none, counts as missing and stops nothing."""
    columns = drawn(5, 500)
    columns["meaning"] = [[1.0, 2.0] if n % 2 else "?" for n in range(500)]
    served = [json.dumps(dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]
    window = pa.table({"features": served, "score": np.random.default_rng(5).random(500)})
    found = judge_window(reference(), window).columns["meaning"]
    assert (found.missing_share, found.drifted) == (1.0, True)
    assert found.moved == "missing 0% → 100%"


def test_vectors_with_a_value_that_no_sum_can_hold_are_missing() -> None:
    """The largest float64 in a coordinate takes its vector out, and the others are judged as ever."""
    columns = drawn(1, 500)
    spoilt = [[np.finfo(float).max, *vector[1:]] if at < 5 else vector for at, vector in enumerate(columns["meaning"])]
    table = pa.table(columns | {"meaning": spoilt, "score": np.random.default_rng(1).random(500)})
    found = judge_table(reference(), table).columns["meaning"]
    assert (found.missing_share, found.drifted) == (pytest.approx(0.01), False)
    assert np.isfinite(found.score)


def test_a_package_brings_every_kind_back(tmp_path) -> None:
    """A saved profile judges as the one that was built, and its sample says which strings are text."""
    reference().save(tmp_path)
    loaded = Profile.load(tmp_path)
    assert loaded.columns == reference().columns
    assert loaded.sample.schema.field("comment").metadata == {b"loopline.kind": b"text"}
    assert loaded.sample.schema.field("country").metadata is None
