"""A home in which every model of a team is live: rows landed, features made, versions served."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from benchmarks.canary.home import write_visits
from benchmarks.idle.site import enter
from loopline.platform_core.contracts.registry import Publication
from loopline.platform_core.contracts.serving import Served
from loopline.platform_core.features.materialization.materialize import materialize
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.ingestion.landing import land
from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.loop.deployments import deployments, packages
from loopline.platform_core.platform import Platform
from loopline.platform_core.runtime.model import manifest
from loopline.platform_core.training import training_set
from loopline.platform_core.turn import Turn, deploy, fit, gate, pin

if TYPE_CHECKING:
    from loopline.platform_core.specs import Team


def prepare(home: Path, team: Team) -> None:
    """Put every model live: the first by a turn of the loop, the others with a copy of its package."""
    platform = Platform.open()
    try:
        for model in team.models:
            source = model.labels.source
            write_visits(home / "landing" / team.name / source.name / "visits.csv")
            land(platform, team, source)
            materialize(platform, team, model.features[0])
        turn = _first_turn(platform, team)
        for model in team.models[1:]:
            _serve_copy(turn, ModelRef(team.name, model.name), home / "copy")
    finally:
        platform.close()


def _first_turn(platform: Platform, team: Team) -> Turn:
    model = team.models[0]
    ref, now = ModelRef(team.name, model.name), platform.clock.now()
    cycle = cycles.open_cycle(platform.ledger, ref, model.drift, "first version", "first", now, force=True)
    turn = Turn(platform, team, model, cycle)
    pin(turn)
    fit(turn)
    gate(turn)
    assert deploy(turn).state == "promoted"
    return turn


def _serve_copy(turn: Turn, ref: ModelRef, copy: Path) -> None:
    """Register the first model's package under another model's name, and serve it."""
    from sklearn.dummy import DummyClassifier

    platform = turn.platform
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(packages.fetched(platform, turn.ref, "1"), copy)
    msgspec.structs.replace(manifest.load(copy), model=ref.dotted).save(copy)
    example = training_set.rows(platform, turn.team, turn.model, pin(turn)).select(["pages", "minutes"]).slice(0, 5)
    dummy = DummyClassifier().fit(example.to_pandas(), [0, 1, 0, 1, 0])
    version = platform.registry.publish(Publication(ref.dotted, copy, dummy, example, tags={"key": ref.dotted}))
    package = packages.fetched(platform, ref, version.version)
    served, why = Served(version.version, package, turn.cycle.cycle_id), {"actor": "benchmark", "reason": "a copy"}
    deployments.change(platform, ref, served, None, 0, cycle=turn.cycle.cycle_id, now=platform.clock.now(), **why)


def main(home: Path, models: int) -> None:
    """Make a home, in a process that ends: what it imports is nothing that an idle one needs."""
    enter(home, models, 0)
    from benchmarks.idle.shops import team

    prepare(home, team)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
