"""The scorecard's history: every day once, filled in where it was missed, and read back quickly."""

from __future__ import annotations

import time
from datetime import date
from statistics import median

import pytest

from loopline.scorecard import compute, history, latest, store
from loopline.scorecard.compute import update
from loopline.scorecard.definitions import DEFINITIONS

SHOP, BANK = "shop/churn", "bank/fraud"


def value(figures, name, scope=""):
    """Return a figure's value."""
    return next(figure.value for figure in figures if (figure.name, figure.scope) == (name, scope))


def test_history_is_filled_in_from_the_ledger_s_first_day(office):
    """The first call comes after three days: each has its figures as they were at its end, today's are of now."""
    office.told.went_live(SHOP, 1, 3)
    office.told.went_live(SHOP, 26, 32)
    now = office.clock(60)
    assert update(office.platform).days == 3
    found = history(office.platform, "lead_time_median")
    assert [(figure.at, figure.value) for figure in found] == [
        (office.told.at(24), 2.0),
        (office.told.at(48), 4.0),
        (now, 4.0),
    ]
    assert all(figure.how == DEFINITIONS["lead_time_median"].how for figure in found)


def test_a_day_ends_with_what_it_was_at_its_end(office):
    """Computed at noon and again a day later, the first day shows its end, not its noon."""
    office.told.went_live(SHOP, 1, 3)
    office.clock(12)
    update(office.platform)
    assert value(latest(office.platform), "lead_time_median") == 2.0
    office.told.went_live(SHOP, 12, 20)
    office.clock(36)
    update(office.platform)
    first, second = history(office.platform, "lead_time_median")
    assert (first.at, first.value) == (office.told.at(24), 5.0)
    assert (second.at, second.value) == (office.told.at(36), 5.0)


def test_what_did_not_change_is_not_written_again(office):
    """A second call within the day writes nothing; one after a promotion writes what it changed."""
    office.told.went_live(SHOP, 1, 3)
    office.clock(10)
    assert update(office.platform).rows > 0
    assert update(office.platform).rows == 0
    office.told.went_live(SHOP, 10, 11)
    office.clock(12)
    changed = update(office.platform).rows
    assert 0 < changed < 30
    assert store.last_day(office.platform.lake) == date(2026, 1, 5)


def test_scopes_are_the_organisation_and_every_team(office):
    """Models have figures too, and are shown only where they are asked for."""
    office.told.went_live(SHOP, 1, 3)
    office.told.went_live(BANK, 1, 5)
    office.answered(2, SHOP, 1.0)
    office.clock(10)
    update(office.platform, office.teams(SHOP))
    assert {figure.scope for figure in latest(office.platform)} == {"", "bank", "shop"}
    assert {figure.scope for figure in latest(office.platform, "shop")} == {"shop"}
    assert value(latest(office.platform, SHOP), "latency_p95", SHOP) is not None
    assert value(latest(office.platform), "lead_time_median", "bank") == 4.0


def test_of_very_many_models_a_day_has_two_looks(office, monkeypatch):
    """Within the day nothing more is written of a model; at its end it is, and at the next day's first look."""
    monkeypatch.setattr(compute, "HOURLY_MODELS", 0)
    teams = office.teams(SHOP)
    for hours, latency in ((1, 10.0), (2, 20.0), (30, 30.0)):
        office.answered(hours, SHOP, latency)
        office.clock(hours + 0.5)
        update(office.platform, teams)
        if hours < 30:
            assert value(latest(office.platform, SHOP), "latency_p99", SHOP) == pytest.approx(10.0, rel=0.02)
    first, second = history(office.platform, "latency_p99", SHOP)
    assert (first.at, first.value, first.count) == (office.told.at(24), pytest.approx(20.0, rel=0.02), 2)
    assert (second.at, second.count) == (office.told.at(30.5), 3)


def test_every_figure_says_how_it_is_computed_and_none_has_a_reason(office):
    """Nothing has happened yet: all figures that are defined are there for the organisation, none with a guess."""
    office.told.opened(0, SHOP)
    office.clock(1)
    found = update(office.platform, runs={"": {}}).figures
    own = {figure.name: figure for figure in found if figure.scope == ""}
    assert set(own) == set(DEFINITIONS) - {"run_failure_rate"}  # which an orchestrator knows
    assert all(figure.how and figure.unit for figure in own.values())
    assert all(figure.reason for figure in own.values() if figure.value is None)


def test_figures_are_found_after_a_long_silence(office):
    """The newest figures are two months old: they are shown as what they are. Before any there are none."""
    assert latest(office.platform) == history(office.platform, "uptime") == []
    office.told.went_live(SHOP, 1, 3)
    office.clock(10)
    update(office.platform)
    office.clock(24 * 60)
    assert value(latest(office.platform), "lead_time_median") == 2.0


def test_reading_is_quick(office):
    """The newest figures and a history take well under 20 ms of CPU, once the process has read that version."""
    for team in range(20):
        office.told.went_live(f"team{team}/model", 1, 3)
    office.clock(24 * 100 + 1)
    update(office.platform)
    latest(office.platform)
    history(office.platform, "lead_time_median")
    seconds = []
    for _ in range(9):
        began = time.process_time()
        assert len(latest(office.platform)) > 400
        assert len(history(office.platform, "lead_time_median")) == 101
        seconds.append(time.process_time() - began)
    assert median(seconds) < 0.02
