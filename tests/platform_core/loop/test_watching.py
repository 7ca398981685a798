"""What the monitor's sensor saw of an endpoint: an entry when a change has arrived, and seconds of being ready."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from loopline.platform_core.contracts.serving import ObservedState, Served
from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.loop.deployments import watching
from loopline.platform_core.loop.deployments.deployments import Deployment
from loopline.platform_core.testing.fakes.serving import InMemoryServing
from tests.platform_core.homes import opened

T0 = datetime(2026, 1, 5, 12, tzinfo=UTC)


class Told(InMemoryServing):
    """An endpoint that says what it is told to say."""

    def observe(self, model: str) -> ObservedState:
        """Say it."""
        return SAID[model]


SAID: dict[str, ObservedState] = {}


@pytest.fixture
def platform(tmp_path):
    """Open a platform whose clock is moved by hand."""
    platform = opened(tmp_path, T0, serving=Told())
    yield platform
    platform.close()


def live(ref, generation: int) -> Deployment:
    """Return a deployment at a generation."""
    return Deployment(ref, generation, Served("7", Path("/p"), "c"), None, 0)


def entries(platform, kind: str):
    """Return the details of a kind."""
    return [dict(entry.details) for entry in platform.ledger.entries(kinds=[kind])]


def test_a_change_has_arrived_once_every_worker_is_there(platform, ref):
    """While the endpoint is at generation 2, generation 3 has not arrived; seen at 3, it is told once."""
    SAID[ref.dotted] = ObservedState(2, ready=True)
    seen = watching.look(platform, live(ref, 3), None, 0.0)
    assert entries(platform, watching.ARRIVED) == []
    SAID[ref.dotted] = ObservedState(3, ready=True)
    for second in (5.0, 10.0):
        seen = watching.look(platform, live(ref, 3), seen, second)
    assert entries(platform, watching.ARRIVED) == [{"generation": 3}]
    assert seen.arrived == 3


def test_whoever_remembers_nothing_tells_of_an_arrival_once(platform, ref):
    """A home whose files are gone forgets, and the ledger does not."""
    SAID[ref.dotted] = ObservedState(3, ready=True)
    for _ in range(2):
        watching.look(platform, live(ref, 3), None, 0.0)
    assert entries(platform, watching.ARRIVED) == [{"generation": 3}]


def test_seconds_are_told_when_readiness_changes_and_when_a_day_begins(platform, ref):
    """Ready for 20 s, then 10 s not, then 5 s ready until midnight: three entries, nothing in between."""
    seen, looks = None, ((0, True), (10, True), (20, False), (30, True), (35, True))
    for second, ready in looks:
        SAID[ref.dotted] = ObservedState(1, ready=ready)
        seen = watching.look(platform, live(ref, 1), seen, float(second))
        seen = watching.EndpointState(**asdict(seen))  # as a file keeps it
    platform.clock.set(T0 + timedelta(hours=12))
    watching.look(platform, live(ref, 1), seen, 40.0)
    assert entries(platform, watching.WATCHED) == [
        {"up_seconds": 20.0, "down_seconds": 0.0},
        {"up_seconds": 0.0, "down_seconds": 10.0},
        {"up_seconds": 10.0, "down_seconds": 0.0},
    ]


def test_time_that_nobody_watched_counts_neither_way(platform, ref):
    """Between two looks an hour apart the daemon was down: only the ten seconds before are known."""
    SAID[ref.dotted] = ObservedState(1, ready=True)
    seen = watching.look(platform, live(ref, 1), None, 0.0)
    seen = watching.look(platform, live(ref, 1), seen, 10.0)
    SAID[ref.dotted] = ObservedState(1, ready=False)
    watching.look(platform, live(ref, 1), seen, 3610.0)
    assert entries(platform, watching.WATCHED) == [{"up_seconds": 10.0, "down_seconds": 0.0}]


def test_looks_of_different_processes_go_on_from_one_another(platform, ref):
    """What is remembered lies in the home: the second look counts the ten seconds since the first."""
    for second, ready in ((0, True), (10, False)):
        SAID[ref.dotted] = ObservedState(1, ready=ready)
        watching.watch(platform, ref.team, [live(ref, 1)], float(second))
    assert entries(platform, watching.WATCHED) == [{"up_seconds": 10.0, "down_seconds": 0.0}]


@pytest.mark.parametrize("content", ["", "[]", '{"cancellations": {"a": 1}}', "{half a li"])
def test_what_cannot_be_read_is_forgotten(platform, ref, content):
    """A file of another release, or half of one, stops no sensor; the endpoint is looked at as for the first time."""
    file = platform.home / "watched" / f"{ref.team}.json"
    file.parent.mkdir()
    file.write_text(content)
    SAID[ref.dotted] = ObservedState(1, ready=True)
    for second in (0.0, 10.0):
        watching.watch(platform, ref.team, [live(ref, 1)], second)
    assert json.loads(file.read_text())[ref.model]["up_seconds"] == 10.0


def test_an_endpoint_that_cannot_be_looked_at_was_not_watched(platform, ref):
    """Others of the team are; what was seen of it before is told no more."""

    class Gone(Told):
        """An endpoint whose server does not answer."""

        def observe(self, model: str) -> ObservedState:
            """Fail as a vendor does."""
            raise StoreUnavailable("no answer", "wait")

    platform.environment.bindings["serving"] = Gone()
    watching.watch(platform, ref.team, [live(ref, 1)], 0.0)
    assert json.loads((platform.home / "watched" / f"{ref.team}.json").read_text()) == {}
