"""A day's answers with what each column contributed, from features as they were served; and what people are told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from loopline.asset_defs import explanations
from loopline.asset_defs.team import team_definitions
from loopline.platform_core.errors import InvalidSpec, Unsupported
from loopline.platform_core.foundation.names import ModelRef, explanations_table, scores_table
from loopline.platform_core.scoring.batch import score_day
from loopline.platform_core.scoring.explanations import explain_day
from loopline.platform_core.specs import Explain, Reasons

REF, DAY = ModelRef("shop", "large_orders"), date(2020, 1, 1)
ORDERS = [(1, 1.0, 1.25, 31.0, "tray"), (2, 2.0, 2.25, 7.5, "clock"), (1, 5.0, 5.25, 12.125, "rød vase")]


@pytest.fixture
def shop(new_shop: Callable[..., Any]) -> Any:
    """Give a shop whose orders have landed, and whose LightGBM model is live."""
    shop = new_shop()
    shop.serve()
    shop.land(*ORDERS, hour=6)
    return shop


def asking(shop: Any, **more: Any) -> Any:
    """Return the model with explanations."""
    return replace(shop.model, explain=Explain(DAY, **more))


def test_a_day_s_answers_are_explained_beside_them(shop: Any) -> None:
    """Row for row they add up to the score, once a day; of more rows than asked for some are taken."""
    assert explain_day(shop.platform, shop.team, asking(shop), date(2019, 12, 31)).rows == 0
    score_day(shop.platform, shop.team, shop.model, DAY)
    lake, model = shop.platform.lake, asking(shop)
    done = explain_day(shop.platform, shop.team, model, DAY)
    assert (done.rows, done.already) == (3, False)
    assert sum(done.shares["1"].values()) == pytest.approx(1)
    found, told = (
        lake.read(table, since=DAY, until=DAY).to_pylist() for table in (explanations_table(*REF), scores_table(*REF))
    )
    scores = {(row["request_id"], row["row"]): (row["score"], row["keys"]) for row in told}
    for row in found:
        total = row["base"] + sum(json.loads(row["contributions"]).values())
        assert (row["score"], row["keys"]) == scores[row["request_id"], row["row"]]
        assert 1 / (1 + np.exp(-total)) == pytest.approx(row["score"])
    again = explain_day(shop.platform, shop.team, model, DAY)
    assert (again.rows, again.already) == (3, True)
    some = replace(asking(shop, most_rows=2), name="large_orders")
    lake.drop_days(explanations_table(*REF), date(2020, 1, 2))
    assert explain_day(shop.platform, shop.team, some, DAY).already, "what was explained stays"


def test_shares_are_of_all_rows_of_a_day(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many are explained at once."""
    monkeypatch.setattr("loopline.platform_core.scoring.explanations.CHUNK", 2)
    score_day(shop.platform, shop.team, shop.model, DAY)
    done = explain_day(shop.platform, shop.team, asking(shop), DAY)
    rows = shop.platform.lake.read(explanations_table(*REF), since=DAY, until=DAY)["contributions"].to_pylist()
    each = [json.loads(row) for row in rows]
    moved = {name: np.mean([abs(row[name]) for row in each]) for name in each[0]}
    assert done.shares["1"] == pytest.approx({name: share / sum(moved.values()) for name, share in moved.items()})
    assert [*done.shares["1"].values()] == sorted(done.shares["1"].values(), reverse=True)


def test_who_asks_for_none_or_has_a_form_without_is_told(shop: Any) -> None:
    """And nothing is written for the day."""
    shop.serve("onnx", version="2")
    score_day(shop.platform, shop.team, shop.model, DAY)
    with pytest.raises(InvalidSpec, match="explain=Explain"):
        explain_day(shop.platform, shop.team, shop.model, DAY)
    with pytest.raises(Unsupported, match="cannot be explained"):
        explain_day(shop.platform, shop.team, asking(shop), DAY)
    assert shop.platform.lake.version(explanations_table(*REF)) is None
    with pytest.raises(InvalidSpec, match="0 days or more"):
        Explain(DAY, wait_days=-1)


def test_a_team_that_asks_has_an_asset_and_a_night(new_shop: Callable[..., Any]) -> None:
    """Who does not ask has neither."""
    team = new_shop().team
    names = {job.name for job in team_definitions(team).get_repository_def().get_all_jobs()}
    assert "loopline_explanations" not in names
    assert not explanations.EXPLANATIONS.schedules(team)
    wanted = replace(team, models=(replace(team.models[0], explain=Explain(DAY)),))
    repository = team_definitions(wanted).get_repository_def()
    assert repository.has_job("loopline_explanations")
    assert repository.get_schedule_def("loopline_explanations_nightly").cron_schedule == explanations.EXPLANATIONS.cron


def test_reasons_are_those_that_spoke_against_somebody() -> None:
    """The principal one first, of columns that mean the same one; a column without words is refused, not left out."""
    reasons = Reasons({"debts": "Too many debts", "loans": "Too many debts", "years": "Short history"}, most=2)
    assert reasons.of({"debts": 0.2, "loans": 0.3, "years": 0.4}) == ["Too many debts", "Short history"]
    assert reasons.of({"debts": 0.2, "loans": -0.3, "years": -0.1}) == []
    assert replace(reasons, against="lower").of({"years": -0.1, "debts": 0.4}) == ["Short history"]
    with pytest.raises(InvalidSpec, match="'age'"):
        reasons.of({"age": 0.1})
    assert reasons.of({"age": -0.1, "years": 0.1}) == ["Short history"]
