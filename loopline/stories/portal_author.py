"""Drives one synthetic model through the loop's state machines on a replay clock, for the portal's test data."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from loopline.platform_core.contracts.registry import Publication
from loopline.platform_core.foundation.clock import ReplayClock
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.cycles import cycles, gates
from loopline.platform_core.loop.cycles.gates import GateReading, Verdict
from loopline.platform_core.loop.ledger.entry_kinds import PINNED, REGISTERED
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.loop.rollouts import rollouts
from loopline.platform_core.turn import start_rollout

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model, Team
    from loopline.platform_core.testing.fakes.serving import InMemoryServing

COLUMNS = ("spend", "orders", "article", "score")


@dataclass
class Author:
    """Tells one model's story; ``at`` is its clock."""

    platform: Platform
    team: Team
    model: Model
    at: datetime
    windows: dict[str, int] = field(default_factory=dict)
    asked: int = 0

    @property
    def ref(self) -> ModelRef:
        """Return the model's reference."""
        return ModelRef(self.team.name, self.model.name)

    def later(self, hours: float) -> None:
        """Let time pass."""
        self.at += timedelta(hours=hours)
        assert isinstance(self.platform.clock, ReplayClock)
        self.platform.clock.set(self.at)

    def record(self, kind: str, version: str, details: Mapping[str, Any], cycle: str = "", reason: str = "") -> None:
        """Write an entry down."""
        self.platform.ledger.record(Entry(kind, self.at, *self.ref, cycle, version, reason=reason, details=details))

    def cycle(self, cause: str, rows: int, drill: Mapping[str, float] | None = None) -> cycles.Cycle:
        """Open a cycle and pin its training set."""
        key = f"{cause} {self.at:%Y-%m-%d}"
        ledger, rule = self.platform.ledger, self.model.drift
        opened = cycles.open_cycle(ledger, self.ref, rule, cause, key, self.at, force=True, drill=drill)
        self.later(0.1)
        tables = {f"{self.team.name}/raw/orders": rows // 90, f"{self.team.name}/features/spending.v1": rows // 120}
        pinned = {
            "training_set_id": f"{self.model.name}-{self.at:%Y%m%dT%H%M}-3f2a90c1d4e5",
            "team": self.team.name,
            "model": self.model.name,
            "as_of": opened.opened_at.isoformat(),
            "tables": tables,
            "spec_hash": "9c1f" * 16,
            "row_hash": "b07e" * 16,
            "rows": rows,
            "positives": rows // 7,
        }
        self.record(PINNED, "", pinned, opened.cycle_id)
        return opened

    def train(self, cycle: cycles.Cycle, metrics: Mapping[str, float], readings: Sequence[GateReading]) -> str:
        """Register a version and let its gates judge."""
        self.later(0.6)
        version = self.publish(cycle.cycle_id, metrics)
        seconds = 1100 + 137 * int(version)
        details = {"version": version, "metrics": dict(metrics), "champion_metrics": None, "seconds": seconds}
        found = details | {"segments": {}, **_search(int(version))}
        self.record(REGISTERED, version, found, cycle.cycle_id)
        self.later(0.02)
        verdict = Verdict(tuple(readings))
        gates.record_verdict(self.platform.ledger, self.ref, cycle.cycle_id, version, verdict, self.at)
        return version

    def publish(self, cycle: str, metrics: Mapping[str, float]) -> str:
        """Put a package into the registry."""
        import pyarrow as pa

        package = self.platform.home / "built" / self.ref.dotted / cycle
        package.mkdir(parents=True)
        package.joinpath("manifest.json").write_text(json.dumps(cycle))
        tags = {"key": cycle, "cycle": cycle, "training_set": f"{self.model.name}-{self.at:%Y%m%d}"}
        nothing = pa.table({})
        publication = Publication(self.ref.dotted, package, None, nothing, metrics, {}, tags)  # type: ignore[arg-type]
        return self.platform.registry.publish(publication).version

    def roll_out(self, version: str, cycle: cycles.Cycle) -> rollouts.RolloutRecord:
        """Start a rollout; where nothing is live the version is promoted at once."""
        return start_rollout(self.platform, self.ref, self.model, version, cycle.cycle_id, self.at)

    def bake(self, record: rollouts.RolloutRecord, requests: int = 1500, **scores: float) -> rollouts.Decision:
        """Let an hour of requests be answered, then take the step that follows; scores by version (``v2=0.4``)."""
        self.later(0.2)
        wanted = {v.version: 0.22 for v in self.platform.registry.versions(self.ref.dotted)}
        wanted |= {name.removeprefix("v"): score for name, score in scores.items()}
        for number in range(requests):
            self.asked += 1
            spread = 0.12 * math.sin(number * 1.7)
            said = {version: score + spread for version, score in wanted.items()}
            self.serving.answer(self.ref.dotted, f"c{self.asked}", said, 3 + 2 * abs(math.sin(number)))
        self.later(1)
        return rollouts.step(self.platform, self.model, record.rollout_id, self.at)

    @property
    def serving(self) -> InMemoryServing:
        """Return the endpoint in memory."""
        serving: InMemoryServing = self.platform.serving  # type: ignore[assignment]
        return serving

    def watch(self, version: str, days: int, moved: Mapping[str, float] | None = None) -> None:
        """Let days of windows be judged, and labels come; ``moved`` columns grow to this score at the end."""
        for day in range(1, days + 1):
            self.later(24)
            self._window(version, {name: far * day / days for name, far in (moved or {}).items()})
            self._labels(version, day, sum((moved or {}).values()) * day / days)

    def _window(self, version: str, moved: Mapping[str, float]) -> None:
        number = self.windows[version] = self.windows.get(version, 0) + 1
        found = {name: 0.05 + 0.02 * math.sin(number + place) ** 2 for place, name in enumerate(COLUMNS)}
        found |= {name: score for name, score in moved.items() if score > found[name]}
        columns = {name: _column(score) for name, score in found.items()}
        drifted = [name for name, column in columns.items() if column["drifted"]]
        since, until = (self.at - timedelta(days=1)).isoformat(), self.at.isoformat()
        verdict = {"rows": 1000 + 13 * number, "enough": True, "columns": columns, "since": since, "until": until}
        details = {"number": number, "after": None, "until": (until, f"request-{number}", 0), "verdict": verdict}
        said = f"drifted: {', '.join(drifted)}" if drifted else "quiet"
        self.record("drift.window", version, details, reason=said)

    def _labels(self, version: str, day: int, moved: float) -> None:
        auc = 0.742 + 0.006 * math.sin(day) + 0.01 * (int(version) % 3) - 0.12 * moved
        figures = {"version": version, "predictions": 1000 * day, "labelled": 700 * day, "positives": 98 * day}
        self.record("quality.realised", version, {**figures, "roc_auc": auc, "recall": auc - 0.1})


def passed(value: float, bound: float, beside: float | None = None) -> tuple[GateReading, ...]:
    """Give the readings of a version that is good enough."""
    return (
        GateReading("AtLeast(roc_auc)", 1, value, bound, passed=True, detail=""),
        GateReading(
            "BeatsChampion(roc_auc)", 1, value, beside, passed=True, detail="" if beside else "no champion yet"
        ),
        GateReading("FairAcross(recall by country)", 1, 0.06, 0.15, passed=True, detail="farthest of 4: Spain"),
    )


def metrics(auc: float) -> dict[str, float]:
    """Give the metrics of a version."""
    return {"roc_auc": auc, "average_precision": round(auc - 0.31, 4), "recall": round(auc - 0.08, 4), "rows": 4562.0}


def _column(score: float) -> dict[str, Any]:
    drifted = score >= 0.1
    figures = {"score": round(score, 4), "threshold": 0.1, "drifted": drifted}
    return figures | {"unseen_share": 0.0, "missing_share": 0.002}


def _search(version: int) -> dict[str, Any]:
    """Make up what a search tried, and what the version rests on."""
    tried = (
        ("trees", 0.781, {"num_leaves": 31}),
        ("linear", 0.742, {"strength": 1.0}),
        ("network", None, {"units": 32}),
    )
    trials = [
        {"number": at, "family": name, "params": params, "score": score, "seconds": 4.5 + at, "weight": float(not at)}
        for at, (name, score, params) in enumerate(tried)
    ]
    shares = {"spent": 0.5 + version / 100, "orders": 0.3, "country": 0.2 - version / 100}
    return {"leaderboard": trials, "importance": shares, "baseline_metrics": {"roc_auc": 0.5, "rows": 4_000}}
