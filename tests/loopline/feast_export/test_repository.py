"""What can be said of an exported repository without Feast; ``tests/differential`` lets Feast apply one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from loopline.feast_export import repository
from loopline.feast_export.names import refuse
from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.specs import Model, Team
from loopline.platform_core.testing.engines.engine_tables import large_order, spending

HALF_A_DAY = replace(spending, version=2, ttl_days=0.5, owner="credit", description='Says "how much".\n\n    Twice.')
INSTANT = pa.timestamp("us", "UTC")
SCHEMA = pa.schema(
    [
        ("customer", pa.int64()),
        ("event_time", INSTANT),
        ("created_at", INSTANT),
        ("spend", pa.float64()),
        ("orders", pa.int64()),
        ("article", pa.string()),
        ("member", pa.bool_()),
    ]
)


def _team(*views, name: str = "shop") -> Team:
    return Team(name, Path(), (Model("large", views, large_order, fit=lambda *_: None),), owner="shop")


def test_the_program_declares_what_the_team_does() -> None:
    """Both versions with their own TTL, owner, description, types and table; one entity; a service of both views."""
    views = (replace(spending, ttl_days=None, served="request"), HALF_A_DAY)
    text = repository.program(_team(*views), dict.fromkeys(views, SCHEMA))
    compile(text, "repo.py", "exec")
    first, second = text.split("FeatureView(\n")[1:]
    for said in (
        "name='spending'",
        "ttl=timedelta(days=0)",
        "online=False",
        "owner='shop'",
        "'shop/features/spending.v1'",
    ):
        assert said in first
    for said in ("name='spending_v2'", "ttl=timedelta(days=0.5)", "online=True", "owner='credit'", "Twice."):
        assert said in second
    for said in ("'spend', dtype=Float64", "'orders', dtype=Int64", "'article', dtype=String", "'member', dtype=Bool"):
        assert said in first
    assert text.count("Entity(name='customer'") == 1
    assert "features=[spending_view, spending_v2_view]" in text


@pytest.mark.parametrize(
    "name", ["day_y", "rn", "entity_row_id", "event_expire_timestamp", "event_timestamp", "created"]
)
def test_features_that_feast_cannot_give_are_refused(name: str) -> None:
    """Each of them would fail in Feast, or come back as something else; the error names view and feature."""
    with pytest.raises(InvalidSpec, match=f"feature spending:{name}"):
        refuse(_team(spending), {spending: ["spend", name]})


def test_other_names_that_feast_refuses() -> None:
    """Views that differ in case only, an entity like one of its columns, and names with an underscore in front."""
    loud = replace(spending, name="Spending")
    with pytest.raises(InvalidSpec, match="view spending, view Spending"):
        refuse(_team(spending), {spending: [], loud: []})
    with pytest.raises(InvalidSpec, match="entity created"):
        refuse(_team(spending), {replace(spending, entity="created"): []})
    with pytest.raises(InvalidSpec, match="team _shop, view _spending"):
        refuse(_team(replace(spending, name="_spending"), name="_shop"), {})


def test_common_names_are_fine() -> None:
    """Nothing is refused without need."""
    refuse(_team(spending), {spending: ["spend", "y", "any", "turn", "created_by"], HALF_A_DAY: ["spend"]})
