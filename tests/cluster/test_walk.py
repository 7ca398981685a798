"""A team's whole walk on a real Kubernetes, in what the chart installs: its parts are pods, and share no disk.

Files land, a Job trains, pods behind a gateway answer; drift turns the loop; a bad candidate is taken back; pods are
killed, a node drained, the API server and the object store away; and who asks all the while hears of none of it. The
tests build on each other; one that is asked alone builds on a first version.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes import client

from loopline.platform_core import alarms
from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.loop.cycles import cycles
from scripts.cluster.outside import Cluster
from tests.cluster import installed_chart, killing
from tests.cluster.callers import asking
from tests.cluster.installed_chart import NAMESPACE, Installation
from tests.cluster.walk import CODE, REF, SERVING, Walk, behind_a_gateway

pytestmark = pytest.mark.timeout(1800)
USUAL, HOTTER = 100.0, 130.0
ENDPOINT = "app.kubernetes.io/component=serving"
AWAY_SECONDS, TOLD_SECONDS = 120, 60
"""How long a server is away, and within what time whoever needs it hears of that."""


@pytest.fixture(scope="module")
def installed(cluster: Cluster, kubernetes_api: client.ApiClient, installation: Installation) -> Iterator[Walk]:
    """Give the installation behind a gateway."""
    with behind_a_gateway(cluster, kubernetes_api, installation) as found:
        yield found


@pytest.fixture
def walk(installed: Walk) -> Walk:
    """Give the walk where a version is live: the first test's, or one of this test's own where it is asked alone."""
    if not cycles.cycles(installed.ledger, REF):
        installed.go_live(USUAL)
    return installed


def test_a_first_version_goes_live(installed):
    """A file is landed by a run in the team's own pod, a Job trains, and pods behind the gateway answer."""
    installed.go_live(USUAL)


def test_drift_turns_the_loop(walk):
    """Kilns get hotter: what is asked drifts, another version is a canary and then takes over; nobody is refused."""
    before = {cycle.cycle_id for cycle in cycles.cycles(walk.ledger, REF)}
    with asking(walk.caller()) as caller:
        walk.until(lambda: sum(caller.answered.values()) > 100, "answers")
        walk.inspect("hotter.csv", walk.fire("hotter.csv", HOTTER))
        cycle = walk.promoted_for("drift", before)
        walk.until(lambda: caller.answered["2"] > 50, "answers of the new version")
    assert walk.stable() == "2"
    assert caller.failed == []
    assert caller.answered["1"] > 100
    walk.until(lambda: set(caller.ids) <= walk.logged(), "the log of every answer", 60)
    seconds = walk.turn_seconds(cycle, caller)
    assert sorted(seconds.values()) == list(seconds.values()), "each step after the one before"
    if kept := os.environ.get("LOOPLINE_TURN_SECONDS"):
        Path(kept).write_text(json.dumps(seconds))


def test_a_bad_candidate_is_taken_back(walk):
    """Trained on a mistake, it is judged by its answers beside the stable version's, and goes; nobody is refused."""
    stable = walk.stable()
    with asking(walk.caller()) as caller:
        walk.until(lambda: caller.answered[stable] > 20, "answers")
        bad = walk.closed(walk.open("a mistake", drill={"heat": 100.0}))
        assert bad.state == "rolled_back", f"{bad}\n{installed_chart.shown(walk.core)}"
        walk.until(walk.settled, "servers without it")
        after = walk.caller()
        assert {after.ask(kiln)[1]["parameters"]["version"] for kiln in range(40)} == {stable}
    assert caller.failed == []
    assert len(caller.answered) == 2, "the candidate has answered, before it was found out"


def test_every_kind_of_pod_is_killed_in_one_turn_of_the_loop(walk, kubernetes_api):
    """Kill -9, each at its worst moment: the turn ends as it would, nobody is refused, and no answer is lost."""
    core, before = walk.core, walk.stable()
    with asking(walk.caller()) as caller:
        walk.until(lambda: caller.answered[before] > 20, "answers")
        killing.kill(walk.working_daemon(), "daemon")
        cycle = walk.open("a bad day")  # nobody looks at it, until the other daemon works
        training = walk.until(lambda: walk.training(cycle), "a training")
        killing.kill_part(core, CODE, "code-kiln")  # whoever waits for the training
        killing.kill(training, training.spec.containers[0].name)  # and then the training
        walk.until(lambda: walk.rolls_out(cycle), "a rollout", 600)
        endpoint = killing.running(core, SERVING, ENDPOINT)[0]
        for container in ("server", "relay", "shadow"):  # while two versions answer
            killing.kill(endpoint, container)
        for part in ("webserver", "features", "code-loopline", "portal", "watchdog"):
            killing.kill_part(core, NAMESPACE, part)
        walk.until(walk.dagster.locations, "an answer of the other web server", 30)
        closed = walk.closed(cycle)
        assert closed.state == "promoted", f"{closed}\n{installed_chart.shown(core)}"
        walk.until(lambda: caller.answered[walk.stable()] > 20, "answers of the new version")
    assert walk.stable() != before
    assert caller.failed == []
    walk.until(lambda: set(caller.ids) <= walk.logged(), "the log of every answer")
    installed_chart.wait_until_ready(kubernetes_api)


def test_a_drain_respects_the_budget_and_refuses_nobody(walk):
    """Pods of the endpoint are evicted: the second only when another one is ready in the first one's place."""
    pods = killing.running(walk.core, SERVING, ENDPOINT)
    with asking(walk.caller()) as caller:
        walk.until(lambda: sum(caller.answered.values()) > 20, "answers")
        assert [killing.evicted(walk.core, pod) for pod in pods] == [True, False]
        walk.until(lambda: killing.evicted(walk.core, pods[1]), "leave to evict the second")
        walk.until(lambda: not walk.alive(pods), "the end of both")
    assert caller.failed == []
    walk.until(lambda: set(caller.ids) <= walk.logged(), "the log of every answer")


def test_an_api_server_away_for_two_minutes_loses_nothing(walk, cluster):
    """A training ends meanwhile: who waits says so, finds its answer by its key, and goes on; endpoints answer."""
    deployer = walk.serving(kubeconfig=cluster.kubeconfig, namespace=SERVING, api_patience_seconds=5)
    with asking(walk.caller()) as caller:
        walk.until(lambda: sum(caller.answered.values()) > 20, "answers")
        cycle = walk.open("nobody manages pods")
        walk.until(lambda: walk.training(cycle), "a training")
        pods = walk.jobs_pods(cycle)
        with killing.away(killing.api_server(cluster), AWAY_SECONDS):
            began, answered = time.monotonic(), sum(caller.answered.values())
            with pytest.raises(StoreUnavailable, match="the Kubernetes API was away for 5 s"):
                deployer.why(REF.dotted)
            assert time.monotonic() - began < TOLD_SECONDS
        assert sum(caller.answered.values()) > answered + AWAY_SECONDS, "more than one a second"
        assert walk.closed(cycle).state == "promoted", installed_chart.shown(walk.core)
        assert walk.jobs_pods(cycle) == pods, "it has trained once"
    deployer.close()
    assert caller.failed == []
    walk.until(lambda: set(caller.ids) <= walk.logged(), "the log of every answer")
    walk.until(lambda: "the Kubernetes API answers again" in walk.run_logs(), "the words of who waited")


def test_an_object_store_away_for_two_minutes_loses_nothing(walk):
    """Endpoints answer all the while; what arrives waits, which is told by name, and lands when the store is back."""
    before, cause = walk.landed("firings"), f"source:{REF.team}/firings"
    with asking(walk.caller()) as caller:
        walk.until(lambda: sum(caller.answered.values()) > 20, "answers")
        with killing.away(walk.installation.outside.store.process.pid, AWAY_SECONDS):
            began, answered = time.monotonic(), sum(caller.answered.values())
            walk.deliver_firings("meanwhile.csv", HOTTER)
            with pytest.raises(StoreUnavailable, match="see whether the store answers") as told:
                walk.serving().observe(REF.dotted)
            assert time.monotonic() - began < TOLD_SECONDS
            assert walk.place in told.value.problem
            (raised,) = walk.until(lambda: alarms.standing(walk.ledger, cause), "an alarm", AWAY_SECONDS * 2)
        assert sum(caller.answered.values()) > answered + AWAY_SECONDS, "more than one a second"
        walk.until(lambda: walk.landed("firings") != before, "what arrived meanwhile", 600)
    assert f"the lake at {walk.place}/lake cannot be reached" in raised.alarm.problem
    assert "see whether its object store answers" in raised.alarm.fix
    assert caller.failed == []
    walk.until(lambda: set(caller.ids) <= walk.logged(), "the log of every answer")
    walk.until(lambda: not alarms.standing(walk.ledger, cause), "the end of the alarm")
