"""Experiments on a model's page."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.loop.rollouts import experiments
from loopline.platform_core.loop.rollouts.experiments import End, Standing

SETTLED = {"name": "sales", "outcome": "kept", "percent": 50, "planned": 900, "effect": 2.0}
SIDES = {
    "candidate": {"met": 510, "over": 500, "known": 499, "mean": 23.1},
    "stable": {"met": 490, "over": 480, "known": 470, "mean": 20.1},
    "rails": [{"name": "error_rate", "worse": {"value": 0.031, "low": 0.01, "high": 0.05}, "at_most": 0.05}],
}


def test_a_models_page_draws_its_experiment(told, client):
    """The picture has the difference with its interval; beside it stand both sides, guardrails and the verdict."""
    ledger, now = told.platform.ledger, told.platform.clock.now()
    live = ledger.entries(kinds=["deployment.changed"], newest_first=True, limit=1)[0]
    ref = ModelRef(live.team, live.model)
    one = Standing("r1", ref, "", "9", live.version, SETTLED, now, "ada", "which keeps more?")
    with ledger.writing() as connection:
        experiments.begin(connection, one)
        experiments.close(connection, one, End("candidate better", "kept +3", "promote", now, "platform"))
    for hours in (1, 2):
        seen = {"rollout": "r1", "difference": {"value": 3.0, "low": 4 - 3 / hours, "high": 5.0}, **SIDES}
        look = Entry(experiments.LOOKED, now, *ref, version="9", reason="so far", details=seen)
        ledger.record(replace(look, at=now + timedelta(hours=hours)))
    page = client.get(f"/models/{ref}").text
    for said in ("kept: version 9 less version", "candidate better", "which keeps more?", "Guardrails of sales"):
        assert said in page
    assert "0.031" in page
    drawn = client.get(f"/models/{ref}/charts/experiments/0.json").json()["chart"]["lines"]
    assert [line["name"] for line in drawn] == ["difference", "more by the effect", "less by the effect"]
    assert [point["low"] for point in drawn[0]["points"]] == [1.0, 2.5]
