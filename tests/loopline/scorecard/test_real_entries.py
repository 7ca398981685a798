"""What the loop's own state machines wrote is understood: figures from the ledger agree with the state tables."""

from __future__ import annotations

from datetime import timedelta
from statistics import median

import pytest
from sqlalchemy import select

from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.rollouts import rollback
from loopline.scorecard import reading
from loopline.scorecard.delivery import Delivery
from loopline.scorecard.figure import Measure
from loopline.stories.portal_home import NOW, portal_home

QUARTER = NOW - timedelta(days=91)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Make a home in which three models went through the loop, well and not so well."""
    made = portal_home(tmp_path_factory.mktemp("home"))
    yield made
    made.close()


def rows(home, table):
    """Return a state table's rows."""
    with home.platform.ledger.reading() as connection:
        return connection.execute(select(table)).all()


def test_rollouts_are_those_of_the_table(home):
    """Started and promoted: as many as the table of rollouts has, drills apart; those that people took back failed."""
    drills = {row.cycle_id for row in rows(home, tables.cycles) if row.drill}
    started = [row for row in rows(home, tables.rollouts) if row.started_at > QUARTER]
    mine = [row for row in started if row.cycle not in drills]
    promoted = [row for row in mine if row.state == "promoted"]
    found = Delivery(reading.read(home.platform.ledger), "").measured(NOW.timestamp())
    assert found["rollback_rate"].count == len(mine) > len(promoted) > 0
    changes = home.platform.ledger.entries(kinds=["deployment.changed"])
    people = [entry for entry in changes if entry.details.get("back")]
    ended = [row for row in mine if row.state == "rolled_back"]
    assert people
    assert found["rollback_rate"].value == pytest.approx(len(ended + people) / len(mine))
    assert found["deployments_a_week"].count == len(promoted)
    held = [row.state == "rolled_back" for row in started if row.cycle in drills]
    assert (found["drills_caught"].value, found["drills_caught"].count) == (sum(held) / len(held), len(held))


def test_a_rollout_that_a_person_ends_failed(home):
    """The loop's own rollback takes the candidate from callers: one of the four rollouts of the team's real changes."""
    platform, ref = home.platform, ModelRef("shop", "returns")
    before = Delivery(reading.read(platform.ledger), "shop").measured(NOW.timestamp())
    rollback.roll_back(platform, ref, "ada", "customers complain", NOW)
    after = Delivery(reading.read(platform.ledger), "shop").measured(NOW.timestamp())
    assert (before["change_failure_rate"], after["change_failure_rate"]) == (Measure(0.0, 4), Measure(0.25, 4))
    assert after["recovery_time_median"].count == 1


def test_lead_times_are_those_of_the_cycles(home):
    """From opened_at to closed_at of the cycles whose state is promoted."""
    closed = [c for c in rows(home, tables.cycles) if c.state == "promoted" and c.closed_at > QUARTER and not c.drill]
    hours = [(cycle.closed_at - cycle.opened_at).total_seconds() / 3600 for cycle in closed]
    found = Delivery(reading.read(home.platform.ledger), "").measured(NOW.timestamp())["lead_time_median"]
    assert found.count == len(hours) > 1
    assert found.value == pytest.approx(median(hours))
