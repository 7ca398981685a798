"""A controller in a process of its own: rolls out version after version, and dies where it is told to.

``python rollout_controller.py HOME PORT VERSIONS DIE_BEFORE DIE_AFTER``: it kills itself once before, and once after,
it asks the endpoint for these generations. Started again, it goes on from what the ledger says.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from loopline.platform_core.contracts.registry import Publication
from loopline.platform_core.environment import Environment
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.cycles import cycles, gates
from loopline.platform_core.loop.cycles.gates import Verdict
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.rollouts import rollouts
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Drift, ErrorRate, LogMetric, Model, Rollout
from loopline.platform_core.testing.fakes.registry import InMemoryRegistry
from loopline.platform_core.turn import start_rollout
from loopline.resources.local.serving import LocalServing

if TYPE_CHECKING:
    from loopline.platform_core.contracts.serving import DesiredState

REF = ModelRef("mill", "loads")
TICK_SECONDS = 0.05


def scores(log: pa.Table) -> np.ndarray:
    """Return each row's score: bad versions say 0.95, good ones 0.5."""
    return np.asarray(log["score"].drop_null())


RULE = Rollout((20, 100), bake_minutes=0.01, min_requests=20, judges=(ErrorRate(0.01), LogMetric(0.8, metric=scores)))
MODEL = Model("loads", (), None, None, rollout=RULE, drift=Drift())  # type: ignore[arg-type]


class Deadly(LocalServing):
    """The local endpoint; whoever asks it for certain generations dies, once each."""

    die_before: int
    die_after: int
    home: Path

    def apply(self, state: DesiredState) -> None:
        """Ask, unless death comes before."""
        self._die(state.generation == self.die_before, "before")
        super().apply(state)
        self._die(state.generation == self.die_after, "after")

    def _die(self, now: bool, name: str) -> None:
        mark = self.home / f"died-{name}"
        if now and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)


def platform(home: Path, port: int, die_before: int = 0, die_after: int = 0) -> Platform:
    """Bind the endpoint of the real server; the registry's versions are those that lie in the home."""
    serving = Deadly(root=f"{home}/serving", port=port, die_before=die_before, die_after=die_after, home=home)
    bindings = {"serving": serving, "registry": InMemoryRegistry()}
    return Platform(Environment("load", home / "e.yaml", bindings, f"sqlite:///{home}/ledger.db", None, home))


def main(home: Path, port: int, versions: int, die_before: int, die_after: int) -> None:
    """Roll out every version that has not been, each to its end."""
    opened = platform(home, port, die_before, die_after)
    for number in range(1, versions + 1):
        package = home / "packages" / REF.dotted / str(number)
        opened.registry.publish(Publication(REF.dotted, package, None, None))  # type: ignore[arg-type]
    started = [entry.version for entry in opened.ledger.entries(REF, ["rollout.started"])]
    finish(opened)
    for number in range(len(started) + 1, versions + 1):
        begin(opened, str(number))
        finish(opened)
    opened.close()


def begin(opened: Platform, version: str) -> None:
    """Start a rollout; repeated, it is the same one."""
    now = datetime.now(UTC)
    cycle = cycles.open_cycle(opened.ledger, REF, Drift(), "load", version, now, force=True)
    gates.record_verdict(opened.ledger, REF, cycle.cycle_id, version, Verdict(()), now)
    start_rollout(opened, REF, MODEL, version, cycle.cycle_id, now)


def finish(opened: Platform) -> None:
    """Take the steps of the rollout that runs until it has ended; after a death, first what was left undone."""
    if deployments.deployment(opened.ledger, REF) is not None:
        deployments.repair(opened, REF)
    while record := rollouts.running(opened.ledger, REF):
        rollouts.step(opened, MODEL, record.rollout_id, datetime.now(UTC))
        time.sleep(TICK_SECONDS)  # the pace of a sensor


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
