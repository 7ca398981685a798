"""Two teams share a cluster for a while, at the pace of a day and with small quotas: nothing fails and nothing grows.

Ten minutes; ``LOOPLINE_TEST_REPEATS=12`` makes them two hours. Kiln's files, trainings, rollouts and monitors go on
beside retail's landings of real days. The table that it prints stands in ``docs/benchmarks.md``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from kubernetes import client

from loopline.demo.days import days
from loopline.platform_core.loop.cycles import cycles
from scripts.cluster.outside import Cluster
from tests.cluster import soak
from tests.cluster.callers import asking
from tests.cluster.installed_chart import NAMESPACE, TEAM, Installation
from tests.cluster.walk import REF, Walk, behind_a_gateway
from tests.repeats import repeats

MINUTES = repeats(10)
DAY_SECONDS, LOOK_SECONDS = 30, max(5, MINUTES / 4)
CYCLE_DAYS = 4
"""So many days apart somebody opens a cycle."""
QUOTA = {"pods": "8", "requests.memory": "4Gi"}
"""What a team may have at once here, beside the profile's own quota."""
HEAT = 100.0
ORDERS = Path(__file__).parents[2] / "plugins/retail/src/retail/data/online_retail.csv.xz"
pytestmark = pytest.mark.timeout(60 * (MINUTES + 30))


@pytest.fixture(scope="module")
def walk(cluster: Cluster, kubernetes_api: client.ApiClient, installation: Installation) -> Iterator[Walk]:
    """Give the installation with small quotas, a version of kiln's live."""
    with behind_a_gateway(cluster, kubernetes_api, installation) as found:
        for team in ("retail", TEAM):
            quota = {"metadata": {"name": "soak"}, "spec": {"hard": QUOTA}}
            found.core.create_namespaced_resource_quota(f"{NAMESPACE}-{team}", quota)
        found.go_live(HEAT)
        yield found


def test_two_teams_for_a_while(walk, kubernetes_api, capsys):
    """No run fails or is ended by another team's sensor, no pod begins anew, each Job is a training, memory is flat."""
    orders = list(islice(days(ORDERS), int(MINUTES * 60 / DAY_SECONDS) + 1))
    began, standing, looks, heats, day = time.time(), soak.release_pods(walk), [], {}, 0
    with asking(walk.caller()) as caller:
        while (passed := time.time() - began) < MINUTES * 60:
            if passed >= day * DAY_SECONDS:
                heats = live_a_day(walk, day, heats, orders[day])
                day += 1
            looks.append(soak.look(walk, kubernetes_api, began))
            time.sleep(LOOK_SECONDS)  # between two looks
    with capsys.disabled():
        sys.stdout.write(f"\n{soak.table(looks)}\n")
    last, turns = looks[-1], cycles.cycles(walk.ledger, REF)
    assert not last.failed, "\n".join(f"{run}\n{soak.errors(walk, run.split()[1])}" for run in last.failed)
    assert max(one.restarts for one in looks) == looks[0].restarts
    assert {name for one in looks for name in one.killed} == set()
    assert soak.release_pods(walk) == standing
    assert caller.failed == []
    assert len(last.jobs) <= len(turns), f"more Jobs than trainings: {sorted(last.jobs)}"
    assert {turn.state for turn in turns} <= {"open", "promoted", "rejected", "rolled_back"}
    assert walk.landed("orders", "retail"), "the other team has worked too"
    assert last.runs >= day, "each day is a run at least"
    assert soak.grown(looks) == {}


def live_a_day(walk, day, yesterday, orders):
    """Let both teams' files arrive, and now and then somebody open a cycle; nobody waits. Gives the kilns' heats."""
    if yesterday:
        walk.deliver_inspections(f"day-{day}.csv", yesterday)
    heats = walk.deliver_firings(f"day-{day}.csv", HEAT)
    walk.deliver("retail", "orders", orders.name, orders.content.decode().splitlines())
    if day % CYCLE_DAYS == CYCLE_DAYS - 1 and all(one.state != "open" for one in cycles.cycles(walk.ledger, REF)):
        walk.open(f"day {day}")
    return heats


def seen(second, **memory_mb):
    """Make a look of a moment at which pods of these sizes stood."""
    parts = {name: name.partition("_")[0] for name in memory_mb}
    return soak.Look(second, second, (), frozenset(), frozenset(), 0, (), memory_mb, parts)


def test_a_pod_that_grows_is_found():
    """By its medians of the first and last third; not one that breathes, or was not there before."""
    looks = [
        seen(n, leaks=300 + 10 * n, breathes=400 + 200 * (n % 2), web_1=500, **({"new": n} if n > 15 else {}))
        for n in range(30)
    ]
    assert soak.grown(looks) == {"leaks": (345, 545)}


def test_the_table_has_a_row_a_span_and_a_column_a_part():
    """Counts as they were at the end of a span, the median of a part's pods within it; few looks make few rows."""
    looks = [seen(60 * n, web_1=100, web_2=200 + n) for n in range(1, 5)]
    assert soak.table(looks, 2).splitlines() == [
        "| minute | runs | failed | restarts | Jobs | web, MB |",
        "| --- | --- | --- | --- | --- | --- |",
        "| 2 | 120 | 0 | 0 | 0 | 150 |",
        "| 4 | 240 | 0 | 0 | 0 | 152 |",
    ]
    assert len(soak.table(looks, 10).splitlines()) == 6
