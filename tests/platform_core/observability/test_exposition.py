"""The platform's own metrics: right, well named, and quick."""

from __future__ import annotations

import re
import subprocess
import time
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import insert, update

from loopline.platform_core.alarms import Alarm, raise_alarm, watchdog_heartbeat
from loopline.platform_core.contracts.serving import Served
from loopline.platform_core.features.registry.declaration import ref_of
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop import freezes, watchdog_looks
from loopline.platform_core.loop.cycles import cycles, gates
from loopline.platform_core.loop.cycles.gates import GateReading, Verdict
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.loop.rollouts.quality_table import Row, put
from loopline.platform_core.monitor.quality.fairness_verdicts import Judged
from loopline.platform_core.observability.exposition import exposition
from loopline.platform_core.plugins import Installed
from loopline.platform_core.specs import Drift
from loopline.platform_core.targets import Regression
from loopline.stories.many_models import HISTORY, NOW, column, model, window

LATE = ModelRef("shop", "late")
_SAMPLE = re.compile(r"^([a-z_]+)(\{.*\})? (\S+)$")


def samples(platform, teams):
    """Return every sample by its name and labels."""
    lines = exposition(platform, teams).decode().splitlines()
    found = [_SAMPLE.fullmatch(line) for line in lines if not line.startswith("#")]
    assert all(found), lines
    return {f"{match[1]}{match[2] or ''}": float(match[3]) for match in found}


def record(platform, kind, ref=LATE, version="", ago=0.0, **details):
    """Write an entry of some hours ago."""
    platform.ledger.record(Entry(kind, NOW - timedelta(hours=ago), *ref, version=version, details=details))


def test_an_empty_ledger_has_every_family_and_hardly_a_sample(platform, teams):
    """What might be there is told with help and type, so that a query against it is no mistake."""
    found = exposition(platform, teams).decode()
    typed = set(re.findall(r"^# TYPE (\S+)", found, re.MULTILINE))
    assert typed == set(re.findall(r"^# HELP (\S+)", found, re.MULTILINE))
    assert {"loopline_cycles_closed_total", "loopline_drift_columns_drifted", "loopline_dead_letters_total"} <= typed
    values = samples(platform, teams)
    assert values['loopline_teams{state="quarantined"}'] == 1
    assert values['loopline_models{team="shop"}'] == 2
    assert values["loopline_ledger_entries_total"] == 0
    assert values['loopline_dead_letters_total{team="shop",source="orders"}'] == 0
    assert "loopline_watchdog_age_seconds" not in values


def test_promtool_finds_no_fault(platform, teams):
    """Names, types, units and help are as Prometheus' own linter wants them."""
    page = exposition(platform, teams)
    done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, check=False, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_cycles_by_verdict_and_the_age_of_an_open_one(platform, teams):
    """A cycle that is reopened has ended once and will end again: a counter never goes back."""
    rule, ledger = Drift(), platform.ledger
    first = cycles.open_cycle(ledger, LATE, rule, "drift", "1", NOW - timedelta(hours=5), force=True)
    cycles.close_cycle(ledger, first.cycle_id, "rejected", "gates not passed", NOW - timedelta(hours=4))
    with ledger.writing(LATE) as connection:
        cycles.reopen(connection, first.cycle_id, "overridden", NOW)
    values = samples(platform, teams)
    assert values['loopline_cycles_opened_total{team="shop",model="late"}'] == 1
    assert values['loopline_cycles_closed_total{team="shop",model="late",state="rejected"}'] == 1
    assert values['loopline_cycles_closed_total{team="shop",model="late",state="failed"}'] == 0
    assert values['loopline_cycle_open_age_seconds{team="shop",model="late"}'] == 5 * 3600


def test_gates_overrides_and_freezes(platform, teams):
    """A failed verdict and the override that let it pass are counted apart; what is frozen says so."""
    failed = Verdict((GateReading("AtLeast(auc)", 1, 0.5, 0.6, passed=False, detail=""),))
    gates.record_verdict(platform.ledger, LATE, "c", "1", failed, NOW)
    gates.override(platform.ledger, LATE, "1", "AtLeast(auc)", "ada", "holidays", NOW)
    freezes.freeze(platform.ledger, LATE, "ada", "a move of house", NOW)
    values = samples(platform, teams)
    assert values['loopline_gate_verdicts_total{team="shop",model="late",passed="false"}'] == 1
    assert values['loopline_gate_overrides_total{team="shop",model="late"}'] == 1
    assert values['loopline_frozen{team="shop",model="late"}'] == 1


def test_rollouts_under_way_and_ended(platform, teams):
    """The share is a ratio, not a percent; a rollout that ended is counted by how."""
    row = {"team": "shop", "model": "late", "package": "p", "step": 0, "first_cursor": None, "cursor": None}
    under_way = {"percent": 25, "state": "held", "cycle": "b", "version": "2", "rollout_id": "b"}
    over = {"percent": 0, "state": "rolled_back", "cycle": "a", "version": "1", "rollout_id": "a"}
    times = {"started_at": NOW - timedelta(hours=3), "step_started_at": NOW - timedelta(minutes=10)}
    with platform.ledger.writing() as connection:
        connection.execute(insert(tables.rollouts), [row | times | over, row | times | under_way])
    values, labels = samples(platform, teams), '{team="shop",model="late",version="2"}'
    assert values[f"loopline_rollout_candidate_ratio{labels}"] == 0.25
    assert values[f"loopline_rollout_age_seconds{labels}"] == 3 * 3600
    assert values[f"loopline_rollout_step_age_seconds{labels}"] == 600
    assert values[f"loopline_rollout_held{labels}"] == 1
    assert values['loopline_rollouts_started_total{team="shop",model="late"}'] == 2
    assert values['loopline_rollouts_ended_total{team="shop",model="late",state="rolled_back"}'] == 1


def live(platform, version="2"):
    """Let a version be live, its endpoint one change behind."""
    with platform.ledger.writing(LATE) as connection:
        wanted = deployments.Deployment(LATE, 0, Served(version, platform.home, "shop.late-1"), None, 0)
        why = Entry(deployments.CHANGED, NOW - timedelta(hours=1), *LATE, "shop.late-1", version)
        deployments.write(connection, wanted, why)


def test_what_is_live_and_whether_the_endpoint_was_asked(platform, teams):
    """A generation that nobody carried out shows as a lag until it is."""
    live(platform)
    values = samples(platform, teams)
    assert values['loopline_model_info{team="shop",model="late",version="2",cycle="shop.late-1"}'] == 1
    assert values['loopline_model_live_age_seconds{team="shop",model="late"}'] == 3600
    assert values['loopline_deployment_lag_generations{team="shop",model="late"}'] == 1
    with platform.ledger.writing() as connection:
        connection.execute(update(tables.deployments).values(applied=1))
    assert samples(platform, teams)['loopline_deployment_lag_generations{team="shop",model="late"}'] == 0


def test_drift_skew_and_quality_of_the_live_version(platform, teams):
    """The newest window counts; what was said of another version does not."""
    live(platform)
    record(platform, "drift.window", version="1", **window(column(9.0)))
    record(platform, "drift.window", version="2", ago=2, **window(column(0.2), column(0.05)))
    record(platform, "drift.window", version="2", ago=1, **window(column(0.05), column(0.3), column(0.4), rows=700))
    record(platform, "skew.checked", version="2", rows=200, differing=5, passed=False)
    record(platform, "quality.realised", version="2", predictions=400, labelled=100, roc_auc=0.75, recall=None)
    values, labels = samples(platform, teams), '{team="shop",model="late",version="2"}'
    assert values['loopline_drift_windows_total{team="shop",model="late"}'] == 3
    assert values[f"loopline_drift_columns{labels}"] == 3
    assert values[f"loopline_drift_columns_drifted{labels}"] == 2
    assert values[f"loopline_drift_worst_ratio{labels}"] == pytest.approx(4.0)
    assert values[f"loopline_drift_window_age_seconds{labels}"] == 3600
    assert values[f"loopline_skew_differing_ratio{labels}"] == 0.025
    assert values['loopline_quality_ratio{team="shop",model="late",version="2",metric="roc_auc"}'] == 0.75
    assert values[f"loopline_quality_labelled_ratio{labels}"] == 0.25
    assert not any('version="1"' in name for name in values if "drift" in name)


def test_quality_and_fairness_of_the_newest_window(platform, teams):
    """Of the live version; an estimate is told apart from what labels say, a segment is the portal's business."""
    live(platform)
    figures = [("roc_auc", "", 0.7, 0.6, 0.8, 90, 50, False), ("roc_auc", "", 0.72, 0.7, 0.74, 90, 50, True)]
    figures.append(("roc_auc", "country=France", 0.1, 0.0, 0.2, 9, 5, False))
    judged = [Judged("country", "recall", 0.1, "unfair", "France", -0.3, -0.4, -0.2, 9, [])]
    for days, version in ((9, "2"), (2, "2"), (1, "1")):
        until = NOW - timedelta(days=days)
        measured = msgspec.json.encode(figures if days == 2 else []).decode()
        fairness = msgspec.json.encode(judged if days == 2 else []).decode()
        row = Row(version, until - timedelta(days=7), until, NOW, "spec", measured, fairness)
        put(platform.ledger, LATE, [row], "spec")
    values, labels = samples(platform, teams), 'team="shop",model="late",version="2",'
    named = {name: value for name, value in values.items() if name.startswith("loopline_quality_window_ratio")}
    told = f'loopline_quality_window_ratio{{{labels}metric="roc_auc",estimated='
    assert named == {f'{told}"false"}}': 0.7, f'{told}"true"}}': 0.72}
    assert values[f"loopline_quality_window_age_seconds{{{labels[:-1]}}}"] == 2 * 86_400
    assert values[f'loopline_fairness_gap_ratio{{{labels}column="country",metric="recall"}}'] == 0.3
    assert values[f'loopline_fairness_unfair{{{labels}column="country",metric="recall"}}'] == 1


def test_figures_with_a_unit_are_no_ratios(platform, teams):
    """They have families of their own, with the unit that the declared model has; r2 of the same model has none."""
    shop = replace(teams.teams[0], models=(replace(model("late"), target=Regression("GBP")), model("lost")))
    live(platform)
    record(platform, "quality.realised", version="2", predictions=400, labelled=100, mae=12.5, rmse=20.0)
    figures = [("mae", "", 12.5, 11, 14, 90, 50, False), ("r2", "", 0.4, 0.3, 0.5, 90, 50, False)]
    judged = [Judged("country", "mae", 5, "unfair", "France", -7.5, -9, -6, 9, [])]
    said = (msgspec.json.encode(one).decode() for one in (figures, judged))
    put(platform.ledger, LATE, [Row("2", NOW - timedelta(days=7), NOW, NOW, "spec", *said)], "spec")
    values, labels = samples(platform, Installed((shop,), ())), 'team="shop",model="late",version="2",'
    told = {name: value for name, value in values.items() if "_value{" in name or name.startswith("loopline_quality")}
    assert told == {
        f'loopline_quality_value{{{labels}metric="mae",unit="GBP"}}': 12.5,
        f'loopline_quality_value{{{labels}metric="rmse",unit="GBP"}}': 20.0,
        f"loopline_quality_labelled_ratio{{{labels[:-1]}}}": 0.25,
        f'loopline_quality_window_ratio{{{labels}metric="r2",estimated="false"}}': 0.4,
        f'loopline_quality_window_value{{{labels}metric="mae",estimated="false",unit="GBP"}}': 12.5,
        f"loopline_quality_window_age_seconds{{{labels[:-1]}}}": 0,
        f'loopline_fairness_gap_value{{{labels}column="country",metric="mae",unit="GBP"}}': 7.5,
    }
    undeclared = samples(platform, Installed((), ()))
    assert undeclared[f'loopline_quality_value{{{labels}metric="mae",unit=""}}'] == 12.5


def test_landings_dead_letters_and_refused_files(platform, teams):
    """Sums over all landings of a source, and how long ago the newest was."""
    here = {"source": "shop/orders"}
    record(platform, "arrival.landed", ModelRef("shop", ""), ago=30, arrivals=2, rows=100, dead=4, **here)
    record(platform, "arrival.landed", ModelRef("shop", ""), ago=6, arrivals=1, rows=50, dead=1, **here)
    record(platform, "arrival.refused", ModelRef("shop", ""), ago=6, arrival="a", **here)
    values, labels = samples(platform, teams), '{team="shop",source="orders"}'
    named = ("landings", "landed_arrivals", "landed_rows", "dead_letters", "arrivals_refused")
    assert [values[f"loopline_{name}_total{labels}"] for name in named] == [2, 3, 150, 5, 1]
    assert values['loopline_landing_age_seconds{team="shop",source="orders",arrives="daily"}'] == 6 * 3600


def test_freshness_of_features(platform, teams):
    """By the newest event of the newest materialization, beside how old a row may be."""
    ref = ref_of(teams.teams[0], HISTORY)
    event = (NOW - timedelta(days=2)).isoformat()
    told = {"view": ref.view, "added": 7, "rows": 70, "newest_event": event, "newest_created": event}
    record(platform, "feature_view.materialized", ModelRef("shop", ""), "1", ago=5, table_version=4, **told)
    values, labels = samples(platform, teams), '{team="shop",view="history",version="1"}'
    assert values[f"loopline_feature_view_event_age_seconds{labels}"] == 2 * 86_400
    assert values[f"loopline_feature_view_age_seconds{labels}"] == 5 * 3600
    assert values[f"loopline_feature_view_ttl_seconds{labels}"] == 90 * 86_400
    assert values[f"loopline_feature_view_rows{labels}"] == 70


def test_alarms_that_stand(platform, teams):
    """Counted by model, kind of cause and severity."""
    raise_alarm(platform, Alarm("drift:shop/late", "warning", "drifts", "look", LATE))
    raise_alarm(platform, Alarm("daemon", "critical", "is gone", "start it"))
    values, rest = samples(platform, teams), 'acknowledged="false"}'
    drift = '{team="shop",model="late",kind="drift",severity="warning",'
    assert values[f"loopline_alarms_standing{drift}{rest}"] == 1
    assert values[f'loopline_alarms_standing{{team="",model="",kind="daemon",severity="critical",{rest}'] == 1
    assert 0 <= values['loopline_alarms_oldest_age_seconds{severity="critical"}'] < 60


def test_the_watchdog_s_last_round(platform, teams):
    """As the database holds it, by its clock."""
    assert "loopline_watchdog_age_seconds" not in samples(platform, teams)
    watchdog_looks.note(platform.ledger, watchdog_heartbeat.ROUND)
    assert 0 <= samples(platform, teams)["loopline_watchdog_age_seconds"] < 60


def test_labels_are_escaped(platform, teams):
    """A version may be called anything."""
    live(platform, version='1"\\\n')
    assert 'version="1\\"\\\\\\n"' in exposition(platform, teams).decode()


def test_a_thousand_models_are_told_in_a_moment(large):
    """What 80,000 entries say takes 0.2 s of a processor; the limit leaves room for a busy machine."""
    platform, teams = large
    exposition(platform, teams)
    took = []
    for _ in range(5):
        began = time.process_time()
        page = exposition(platform, teams)
        took.append(time.process_time() - began)
    assert page.count(b"loopline_drift_columns_drifted{") == page.count(b"loopline_model_info{") == 1_000
    assert min(took) < 1.0, took
