"""A bank whose package is the code of the page on events with state, its payments, and the command line."""

from __future__ import annotations

import importlib
import json
import random
import re
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from loopline.platform_core import plugins, turn
from loopline.platform_core.contracts.event_stream import Record
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.monitor.quality.predictions import compact
from loopline.platform_core.monitor.skew import skew
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Team

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/how-to/score-events-with-state.md"
REF = ModelRef("shop", "fraud")
SETTLED = """apiVersion: v3.1.0
kind: DataContract
id: settled
version: 1.0.0
status: active
schema:
  - name: settled
    properties:
      - {name: payment, logicalType: string, required: true}
      - {name: card, logicalType: string, required: true}
      - {name: paid_at, logicalType: timestamp, required: true}
      - {name: fraud, logicalType: integer, required: true}
      - {name: settled_at, logicalType: timestamp, required: true}
"""
START = datetime(2024, 5, 1, tzinfo=UTC)
CARDS = 25


@dataclass
class Bank:
    """A home with the page's team installed, its topics, and all payments so far."""

    site: Path
    chance: random.Random = field(default_factory=lambda: random.Random(5))
    payments: list[dict[str, Any]] = field(default_factory=list)
    now: datetime = START
    stolen: list[str] = field(default_factory=list)
    _platforms: list[Platform] = field(default_factory=list)

    def declare(self, blocks: int) -> None:
        """Install the page's first blocks of code as the team's package."""
        page = PAGE.read_text(encoding="utf-8")
        (contract,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
        code = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
        contracts = self.site / "shop" / "contracts"
        contracts.mkdir(parents=True, exist_ok=True)
        contracts.joinpath("payments.v1.yaml").write_text(contract)
        contracts.joinpath("settled.v1.yaml").write_text(SETTLED)
        self.site.joinpath("shop", "__init__.py").write_text("\n".join(code[:blocks]))
        sys.modules.pop("shop", None)
        importlib.invalidate_caches()

    @property
    def team(self) -> Team:
        """Load the team as the command line does."""
        return plugins.installed(["shop"]).team("shop")

    @property
    def platform(self) -> Platform:
        """Open the platform once."""
        if not self._platforms:
            self._platforms.append(Platform.open())
        return self._platforms[0]

    def pay(self, count: int) -> set[str]:
        """Let payments happen, some with a stolen card: a few at once, dear, and from elsewhere; gives their names.

        They are published as such streams are: some late, some twice.
        """
        made = [self._payment(number) for number in range(len(self.payments), len(self.payments) + count)]
        self.payments += made
        come = [one for one in made for _ in range(2 if self.chance.random() < 0.05 else 1)]
        for place in range(0, len(come) - 4, 9):
            come[place], come[place + 3] = come[place + 3], come[place]
        self._publish("payments", come)
        return {one["payment"] for one in made}

    def settle(self) -> None:
        """Say of all payments of before what became of them."""
        self._publish("settled", [one | {"settled_at": self.now.isoformat()} for one in self.payments])

    def _publish(self, source: str, rows: list[dict[str, Any]]) -> None:
        records = [Record(json.dumps(row).encode(), row["card"].encode()) for row in rows]
        self.platform.event_stream.publish(f"shop/{source}", records)

    def land(self, *sources: str) -> None:
        """Land what is published, and bring the views up to it."""
        for source in sources:
            self.run("stream", f"shop/{source}", "--once")

    def _payment(self, number: int) -> dict[str, Any]:
        if not self.stolen and self.chance.random() < 0.05:
            self.stolen = [f"c{self.chance.randrange(CARDS)}"] * 4
        is_fraud = bool(self.stolen)
        card = self.stolen.pop() if is_fraud else f"c{self.chance.randrange(CARDS)}"
        self.now += timedelta(minutes=2 if is_fraud else self.chance.randrange(1, 90))
        return {
            "payment": f"p{number}",
            "card": card,
            "paid_at": self.now.isoformat(),
            "amount": round(self.chance.gammavariate(4, 60 if is_fraud else 10) + 0.01, 2),
            "shop": f"s{self.chance.randrange(9)}",
            "country": "US" if is_fraud else ("UK", "FR")[int(card[1:]) % 2],
            "fraud": int(is_fraud),
        }

    def run(self, *arguments: str) -> dict[str, Any]:
        """Run the command line in this process; gives what it says."""
        from loopline.cli import loopline

        result = CliRunner().invoke(loopline, [*arguments, "--output", "json"])
        assert result.exit_code == 0, result.output
        said: dict[str, Any] = json.loads(result.stdout)
        return said

    def learn(self, why: str) -> str:
        """Turn the loop; gives the version that is live then."""
        platform, team = self.platform, self.team
        model, now = team.model("fraud"), platform.clock.now()
        cycle = cycles.open_cycle(platform.ledger, REF, model.drift, "by hand", why, now, force=True)
        around = turn.Turn(platform, team, model, cycle)
        turn.pin(around)
        turn.fit(around)
        verdict = turn.gate(around)
        assert verdict.passed, verdict.failed
        assert turn.deploy(around).state == "promoted"
        live = deployments.deployment(platform.ledger, REF)
        assert live is not None
        assert live.stable is not None
        return live.stable.version

    def score(self) -> dict[str, Any]:
        """Score until nothing has come for a while, by one who begins with nothing in memory."""
        return self.run(
            "score-stream", "shop/fraud", "--from", "payments", "--to", "verdicts", "--once", "--member", "a"
        )

    def answers(self) -> list[dict[str, Any]]:
        """Read all answers."""
        rows = self.platform.event_stream.read("shop/verdicts", {}, 100_000)
        return [json.loads(value) for value in rows["value"].to_pylist()]

    def served(self, version: str) -> list[dict[str, Any]]:
        """Read the features with which a version answered, from the log."""
        rows, _ = self.platform.serving.predictions(REF.dotted)
        return [json.loads(row["features"]) for row in rows.to_pylist() if row["version"] == version]

    def skew(self) -> dict[str, tuple[int, int]]:
        """Compare what was served since the last look with the offline rows; gives, by version, rows and differing."""
        platform, team = self.platform, self.team
        compact(platform, team, team.model("fraud"))
        found = skew.check(platform, team, team.model("fraud"))
        return {one.version: (one.rows, one.differing) for one in found}
