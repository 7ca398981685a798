"""Collects what the ledger and the team's declaration know of one version, for its card."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import NotFound
from loopline.platform_core.loop.cycles import cycles, gates
from loopline.platform_core.loop.deployments.deployments import CHANGED
from loopline.platform_core.loop.history import REASONS
from loopline.platform_core.loop.ledger.entry_kinds import PINNED, REGISTERED
from loopline.platform_core.loop.rollouts import quality_table
from loopline.platform_core.loop.rollouts.quality_entries import REALISED, metrics
from loopline.platform_core.monitor.drift.drift_windows import judged
from loopline.platform_core.monitor.quality import fairness_verdicts
from loopline.platform_core.training import training_set

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.loop.cycles.cycles import Cycle
    from loopline.platform_core.loop.cycles.gates import Verdict
    from loopline.platform_core.loop.ledger.ledger import Entry
    from loopline.platform_core.monitor.drift.drift_windows import Window
    from loopline.platform_core.monitor.quality.fairness_verdicts import FairnessAt
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model, Team
    from loopline.platform_core.training.training_set import TrainingSet

WINDOWS = 20
"""Newest windows of drift and quality that are told."""
NOBODY = "platform"
"""Who is said to do what no person did."""


@dataclass(frozen=True)
class Known:
    """All that is told of a version; ``team`` and ``model`` are None where the team does not load."""

    ref: ModelRef
    version: str
    team: Team | None
    model: Model | None
    registered: Entry
    cycle: Cycle | None
    pinned: TrainingSet | None
    verdict: Verdict | None
    story: Sequence[Entry]
    live: Sequence[Entry]
    realised: Mapping[str, float | None]
    estimated: Sequence[Mapping[str, Any]]
    fairness: Sequence[FairnessAt]
    drift: Sequence[Window]
    before: Sequence[Entry]
    until: int

    @property
    def trained(self) -> Mapping[str, Any]:
        """Return what the training told."""
        return self.registered.details


def read(platform: Platform, ref: ModelRef, version: str, team: Team | None, model: Model | None) -> Known:
    """Read it.

    Raises:
        NotFound: no cycle registered such a version.
    """
    ledger = platform.ledger
    everything = ledger.entries(ref, [*REASONS, CHANGED, REALISED])
    registrations = [entry for entry in everything if entry.kind == REGISTERED]
    registered = next((entry for entry in reversed(registrations) if entry.version == version), None)
    if registered is None:
        known = ", ".join(dict.fromkeys(entry.version for entry in registrations)) or "none"
        raise NotFound(f"{ref} has no version {version} that a cycle registered", f"versions are {known}")
    cycle = registered.cycle
    pinned = next((one for one in reversed(everything) if one.kind == PINNED and one.cycle == cycle), None)
    realised = next((one for one in reversed(everything) if one.kind == REALISED and one.version == version), None)
    return Known(
        ref=ref,
        version=version,
        team=team,
        model=model,
        registered=registered,
        cycle=_cycle(platform, cycle),
        pinned=training_set.from_json(pinned.details) if pinned else None,
        verdict=gates.verdict_of(ledger, ref, version),
        story=[one for one in everything if one.kind in REASONS and (one.cycle == cycle or one.version == version)],
        live=[one for one in everything if one.kind == CHANGED and _serves(one, version)],
        realised=metrics(realised.details) if realised else {},
        estimated=_estimated(platform, ref, version),
        fairness=[one for one in fairness_verdicts.history(platform, ref) if one.version == version][-WINDOWS:],
        drift=judged(platform, ref, version, WINDOWS),
        before=[one for one in registrations if (one.entry_id or 0) < (registered.entry_id or 0)],
        until=max((entry.entry_id or 0 for entry in everything), default=0),
    )


def _cycle(platform: Platform, cycle: str) -> Cycle | None:
    try:
        return cycles.cycle(platform.ledger, cycle)
    except NotFound:
        return None


def _serves(entry: Entry, version: str) -> bool:
    """Say whether a version answers somebody after a change of the deployment."""
    return any((entry.details.get(side) or {}).get("version") == version for side in ("stable", "candidate"))


def _estimated(platform: Platform, ref: ModelRef, version: str) -> list[Mapping[str, Any]]:
    """Return the newest window's figures over all rows, estimated or realised, each with its interval."""
    own = [row for row in quality_table.rows(platform.ledger, ref, newest=1) if row.version == version]
    if not own:
        return []
    names = ("metric", "segment", "value", "low", "high", "rows", "_", "is_estimate")
    figures = [dict(zip(names, figure, strict=False)) for figure in json.loads(own[-1].measured)]
    return [one | {"since": own[-1].since, "until": own[-1].until} for one in figures if not one["segment"]]
