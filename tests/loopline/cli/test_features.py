"""The online store is filled again from the lake, by a view's name."""

from __future__ import annotations

import os
import time

import pytest

ROWS = """customer_id,sold_at,amount,country,returned
1,2011-03-01 10:00:00,5.0,DE,0
1,2011-03-01 11:00:00,6.0,DE,0
2,2011-03-01 11:00:00,7.0,FR,1
"""


@pytest.fixture
def materialized(world):
    """Land three sales of two customers, materialize the view, and lose the online store."""
    from corner_shop import customer_sales, sales, team

    from loopline.platform_core.features.materialize import materialize
    from loopline.platform_core.foundation.names import online_view
    from loopline.platform_core.ingestion.landing import land
    from loopline.platform_core.platform import Platform

    file = world.home / "landing/corner/sales/2011-03-01.csv"
    file.parent.mkdir(parents=True)
    file.write_text(ROWS)
    os.utime(file, (time.time() - 3600,) * 2)
    world.later(0)
    platform = Platform.open()
    land(platform, team, sales)
    materialize(platform, team, customer_sales)
    platform.online_store.drop(online_view("corner", customer_sales))
    platform.close()
    return world


def test_refill_writes_the_newest_row_of_every_entity(materialized):
    """Two customers are online again, each with its last sale."""
    from loopline.platform_core.platform import Platform

    assert materialized.json("features", "refill", "corner/customer_sales") == {
        "view": "corner/customer_sales",
        "keys": 2,
    }
    platform = Platform.open()
    rows = platform.online_store.read([("corner.customer_sales.v1", ["1", "2"])])[0]
    platform.close()
    assert [row.values[0] for row in rows] == [6.0, 7.0]


def test_a_view_that_no_team_has(world):
    """The name is told, with where to look."""
    said = world.json("features", "refill", "weather", code=1)
    assert said["error"] == "NotFound"
    assert "feature view 'weather'" in said["problem"]


def test_audit_tells_what_differs_and_mends_it_when_asked(materialized):
    """The store was lost: exit code 1 with view, key and values; mended, the next audit finds nothing."""
    found = materialized.json("features", "audit", "corner/customer_sales", code=1)
    (view,) = found["views"]
    assert (view["cause"], view["differing"], view["entities"]) == ("online differs", 2, 2)
    assert "has nothing online" in view["example"]
    materialized.json("features", "audit", "customer_sales", "--team", "corner", "--mend", code=1)
    assert materialized.json("features", "audit", "--team", "corner")["views"][0]["cause"] == ""
