"""The online store is filled again from the lake, by a view's name."""

from __future__ import annotations

from contextlib import closing

import pytest

from loopline.platform_core.platform import Platform

ROWS = """customer_id,sold_at,amount,country,returned
1,2011-03-01 10:00:00,5.0,DE,0
1,2011-03-01 11:00:00,6.0,DE,0
2,2011-03-01 11:00:00,7.0,FR,1
"""


@pytest.fixture
def materialized(world):
    """Land three sales of two customers, materialize the view, and lose the online store."""
    world.later(0)
    world.deliver("2011-03-01.csv", ROWS)
    world.materialize()
    with closing(Platform.open()) as platform:
        platform.online_store.drop("corner.customer_sales.v1")
    return world


def test_refill_writes_the_newest_row_of_every_entity(materialized):
    """Two customers are online again, each with its last sale; the name of a view that no team has is told."""
    said = materialized.json("features", "refill", "corner/customer_sales")
    assert said == {"view": "corner/customer_sales", "keys": 2}
    with closing(Platform.open()) as platform:
        rows = platform.online_store.read([("corner.customer_sales.v1", ["1", "2"])])[0]
    assert [row.values[0] for row in rows] == [6.0, 7.0]
    said = materialized.json("features", "refill", "weather", code=1)
    assert (said["error"], "feature view 'weather'" in said["problem"]) == ("NotFound", True)


def test_audit_tells_what_differs_and_mends_it_when_asked(materialized):
    """The store was lost: exit code 1 with view, key and values; mended, the next audit finds nothing."""
    found = materialized.json("features", "audit", "corner/customer_sales", code=1)
    (view,) = found["views"]
    assert (view["cause"], view["differing"], view["entities"]) == ("online differs", 2, 2)
    assert "has nothing online" in view["example"]
    materialized.json("features", "audit", "customer_sales", "--team", "corner", "--mend", code=1)
    assert materialized.json("features", "audit", "--team", "corner")["views"][0]["cause"] == ""
