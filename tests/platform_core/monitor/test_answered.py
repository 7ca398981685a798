"""The mix of what a model names is watched like a feature, before anybody knows what was right."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from loopline.platform_core.monitor.drift import answered
from loopline.platform_core.monitor.drift.block_profile import training_profile
from loopline.platform_core.monitor.drift.profile import Profile
from loopline.platform_core.monitor.drift.served import as_table
from loopline.platform_core.monitor.drift.window import judge_window
from loopline.platform_core.specs import Drift, Ranking, Regression

TARGET = Ranking(tuple(f"article {n}" for n in range(30)), k=3)
ROWS, LEARNT = 1_000, slice(0, 600)


def ranked(random: np.random.Generator, rows: int, liked: int = 0) -> np.ndarray:
    """Draw lists: each item is liked less than the one before, from the ``liked``-th on."""
    tastes = np.roll(-0.15 * np.arange(30), liked)
    return TARGET.served(tastes + random.normal(size=(rows, 30)))


def window(random: np.random.Generator, said: np.ndarray, **more: pa.Array) -> pa.Table:
    """Return logged rows."""
    features = [f'{{"x": {x}}}' for x in random.normal(size=len(said))]
    return pa.table({"features": features, "score": TARGET.reading(said), **more})


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    """Profile a training set, and read the profile as the monitor does."""
    random = np.random.default_rng(0)
    raw = ranked(random, ROWS)
    scores = TARGET.reading(raw).copy()
    scores[LEARNT] = np.nan
    table, said = pa.table({"x": random.normal(size=ROWS)}), answered.of_training(TARGET, raw, LEARNT)
    assert said["answer.items"].null_count == 600
    assert said["answer.items"][600].as_py() == [f"article_{n:.0f}" for n in raw[600, :3]]
    folder = tmp_path_factory.mktemp("package")
    training_profile(table, ("x",), scores, Drift(min_rows=300), said).save(folder)
    found = Profile.load(folder)
    assert found.sample["answer.items"].null_count == 600
    return found


@pytest.mark.parametrize(("liked", "drifted"), [(0, []), (8, ["answer.items"])])
def test_another_mix_drifts_while_scores_stay(profile: Profile, liked: int, drifted: list[str]) -> None:
    """Other items score as the former did: nothing else could tell."""
    random = np.random.default_rng(5)
    raw = ranked(random, 400, liked)
    verdict = judge_window(profile, window(random, raw, raw=pa.array(raw.tolist())), 200)
    assert list(verdict.drifted) == drifted
    assert verdict.columns["answer.items"].missing_share == 0


def test_rows_of_another_kind_say_nothing(profile: Profile) -> None:
    """Logs of before, and of versions with longer lists, are missing, which is no drift."""
    random = np.random.default_rng(6)
    raw = ranked(random, 300)
    for more in ({}, {"raw": pa.array([row[:2] for row in raw.tolist()])}):
        rows = window(random, raw, **more)
        assert as_table(rows, profile.sample.schema)["answer.items"].null_count == 300
        assert list(judge_window(profile, rows, 200).drifted) == []


def test_a_kind_that_lets_nothing_be_watched_has_no_such_column() -> None:
    """What is watched of a model's answers is its kind's affair."""
    assert answered.of_training(Regression(), np.ones(4), slice(0, 2)).column_names == []
