"""A process that is killed between database and endpoint leaves a state from which another goes on."""

from __future__ import annotations

import signal
import subprocess
import sys

from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.ledger.ledger import Ledger
from loopline.platform_core.loop.rollouts import rollouts

_KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from loopline.platform_core.contracts.registry import Publication
from loopline.platform_core.environment import Environment
from loopline.platform_core.loop.cycles import cycles, gates
from loopline.platform_core.loop.cycles.gates import Verdict
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Drift, Model, Rollout
from loopline.platform_core.testing.fakes.registry import InMemoryRegistry
from loopline.platform_core.testing.fakes.serving import InMemoryServing
from loopline.platform_core.turn import start_rollout

class Killer(InMemoryServing):
    def apply(self, state):
        if state.candidate:
            os.kill(os.getpid(), signal.SIGKILL)
        super().apply(state)

url, home = sys.argv[1], Path(sys.argv[2])
ref = ModelRef("retail", "cancellations")
now = datetime(2011, 3, 1, 12, tzinfo=UTC)
registry = InMemoryRegistry()
platform = Platform(Environment("t", home, {"serving": Killer(), "registry": registry}, url, None, home))
model = Model("cancellations", (), None, None, rollout=Rollout(percents=(20, 100), min_requests=1))
for name in ("first", "second"):
    package = home / "child" / name
    package.mkdir(parents=True)
    package.joinpath("manifest.json").write_text("{}")
    version = registry.publish(Publication(ref.dotted, package, None, None)).version
    cycle = cycles.open_cycle(platform.ledger, ref, Drift(), "test", name, now, force=True)
    gates.record_verdict(platform.ledger, ref, cycle.cycle_id, version, Verdict(()), now)
    start_rollout(platform, ref, model, version, cycle.cycle_id, now)
"""


def test_a_rollout_whose_process_was_killed_goes_on(url, loop, ref, tmp_path):
    """The database has the step, another process asks the endpoint for it, and nothing is done twice."""
    child = subprocess.run([sys.executable, "-c", _KILLED, url, str(tmp_path)], check=False, timeout=60)
    assert child.returncode == -signal.SIGKILL
    left = deployments.deployment(loop.ledger, ref)
    assert (left.generation, left.applied, left.candidate.version, left.percent) == (2, 1, "2", 20)
    for name in ("first", "second"):
        loop.publish(name)
    (record,) = rollouts.active(loop.ledger)
    assert loop.step(record).action == "wait"
    assert loop.serving.observe(ref.dotted).generation == 2
    assert loop.platform.registry.by_alias(ref.dotted, "candidate").version == "2"
    assert [cycle.state for cycle in cycles.cycles(loop.ledger, ref)] == ["promoted", "open"]
    assert len(loop.ledger.entries(ref, ["rollout.advanced"])) == 1


_HALF_WRITTEN = """
import os, signal, sys
from datetime import UTC, datetime
from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.loop.ledger.ledger import Entry, Ledger, append
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.specs import Drift
ledger = Ledger.open(sys.argv[1])
now = datetime(2011, 3, 1, 12, tzinfo=UTC)
ledger.record(Entry("x.whole", now))
with ledger.writing(ModelRef("retail", "cancellations")) as connection:
    append(connection, Entry("x.half", now))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_recorded_survives_a_kill_and_what_was_not_leaves_no_lock(url):
    """The entry before the kill is there, the half transaction is not, and others write at once."""
    child = subprocess.run([sys.executable, "-c", _HALF_WRITTEN, url], check=False, timeout=60)
    assert child.returncode == -signal.SIGKILL
    ledger = Ledger.open(url)
    assert [entry.kind for entry in ledger.entries()] == ["x.whole"]
    with ledger.writing(ModelRef("retail", "cancellations")) as connection:
        connection.exec_driver_sql("DELETE FROM cycles")
    ledger.close()
