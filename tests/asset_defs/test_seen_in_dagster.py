"""What a person sees in Dagster: titles that name the stage, figures that are plotted, no badge without a reason."""

from __future__ import annotations

from dataclasses import replace

import narwhals as nw
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from loopline.asset_defs import code_location
from loopline.asset_defs.figures import figures, number
from loopline.asset_defs.keys import CYCLE_JOB, CYCLE_TAG, INGEST_JOB, TURN, key
from loopline.asset_defs.monitoring import MANY, _drift_metadata
from loopline.platform_core.foundation.names import STAGES, AssetName
from loopline.platform_core.monitor.drift.alarm import Alarm
from loopline.platform_core.monitor.drift.drift import Watched
from loopline.platform_core.monitor.drift.drift_verdicts import ColumnVerdict, WindowVerdict
from loopline.platform_core.specs.views.features import FeatureView
from loopline.platform_core.testing.fakes.online_store import InMemoryOnlineStore


def test_each_box_says_what_it_is_of_and_which_stage():
    """Dagster titles a box with the last part of its key: no two are alike, in a team or beside another's."""
    graph = code_location.retail.resolve_asset_graph()
    titles = [found.path[-1] for found in graph.get_all_asset_keys()]
    assert len(titles) == len(set(titles)) == 23
    for found in graph.get_all_asset_keys():
        asset = AssetName.of(found.path)
        assert asset is not None
        assert asset.path == tuple(found.path)
        assert graph.get(found).kinds  # the picture beside the title


def test_a_title_says_which_stage_it_is_of():
    """No stage ends with another one, so that every key is read as it was made, whatever the name ends with."""
    assert not [(a, b) for a in STAGES for b in STAGES if a != b and a.endswith(f"_{b}")]
    for stage in STAGES:
        for name in ("orders", "a_raw", "dead", "training_set", "x_v2"):
            assert AssetName.of(AssetName("shop", stage, name).path) == AssetName("shop", stage, name)
    assert AssetName.of(["shop", "raw", "orders"]) is AssetName.of(["shop", "else"]) is None


def test_figures_are_entries_of_their_own():
    """What is no number, or cannot be drawn, is left out."""
    assert figures({"a": 1, "b": 0.5, "c": None, "d": float("nan"), "e": True}, "x/") == {"x/a": 1.0, "x/b": 0.5}
    assert (number("12"), number("candidate")) == (12, "candidate")


def test_a_models_metrics_are_plotted(driver):
    """Each metric is a number under its name, and so is the version."""
    cycle = driver.open_cycle("one", "first")
    driver.trained("one", cycle, 0.71)
    driver.execute(CYCLE_JOB, tags={CYCLE_TAG: cycle}, asset_selection=[key("tiny", "model", "one")])
    made = driver.instance.get_latest_materialization_event(key("tiny", "model", "one")).asset_materialization
    said = {name: value.value for name, value in made.metadata.items()}
    assert (said["roc_auc"], said["version"]) == (0.71, 1)


@pytest.mark.parametrize(("columns", "plotted"), [(MANY, MANY), (MANY + 1, 1)])
def test_drift_scores_are_plotted_by_column(columns, plotted):
    """A score and a threshold each; of a very wide model only what has drifted, for every entry costs a row."""
    verdicts = {
        f"c{n}": ColumnVerdict(n / 10, 0.5, n == 7, 0.0, 0.0, moved="up" if n == 7 else "") for n in range(columns)
    }
    watched = Watched([WindowVerdict(900, True, verdicts)], Alarm(("c7",), "one column"))
    assert _drift_metadata(watched, None, "s3://bucket/page.html")["report_kept_at"] == "s3://bucket/page.html"
    said = _drift_metadata(watched, None)
    assert "report_kept_at" not in said
    assert (said["score/c7"], said["threshold/c7"], said["columns_drifted"], said["alarm"]) == (0.7, 0.5, 1, 1)
    assert len([name for name in said if name.startswith("score/")]) == plotted


@pytest.fixture
def featured(driver):
    """Let the driver's team have a view that computes, and somewhere to put it online."""
    driver.platform.environment.bindings["online_store"] = InMemoryOnlineStore()
    source = driver.team.source("events")
    seen = FeatureView("seen", source, "who", "at", lambda rows: rows.with_columns(times=nw.lit(1)))
    labels = replace(driver.team.models[0].labels, compute=lambda rows: rows.with_columns(left=nw.lit(1.0)))
    models = tuple(replace(model, features=(seen,), labels=labels) for model in driver.team.models)
    return driver.of(replace(driver.team, models=models))


def test_a_new_day_puts_nothing_out_of_sync(featured):
    """What is landed after a training set was pinned is no reason to train again: drift decides that."""
    driver = featured
    for day in (1, 2):
        driver.deliver(f"{day}.csv", f"Who,At\n{day},2011-02-0{day}\n")
        assert driver.execute(INGEST_JOB).success
        if day == 1:
            cycle = driver.open_cycle("one", "first")
            driver.trained("one", cycle, 0.71)
            driver.judged("one", cycle)
            asked = [key("tiny", stage, "one") for stage in TURN]
            driver.execute(CYCLE_JOB, tags={CYCLE_TAG: cycle}, asset_selection=asked)
    assert behind(driver) == set()
    assert driver.instance.fetch_materializations(key("tiny", "training_set", "one"), limit=9).records


def behind(driver) -> set[str]:
    """Return the titles that bear the badge ``Unsynced``."""
    graph = driver.definitions.resolve_asset_graph()
    resolver = CachingStaleStatusResolver(driver.instance, graph, LoadingContextForTest(driver.instance))
    keys = graph.get_all_asset_keys()
    return {found.path[-1] for found in keys if resolver.get_status(found) is StaleStatus.STALE}
