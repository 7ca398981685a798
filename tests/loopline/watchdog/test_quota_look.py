"""What is used of each quota is told: to people, as alarms at 80 % and when none is left, and to Prometheus."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner

from loopline.cli.access.quota import quota
from loopline.gateway.quota import Rate
from loopline.platform_core import alarms
from loopline.platform_core.environment import Environment
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.loop.ledger.entry_kinds import CLAIMED
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.observability.exposition import exposition
from loopline.platform_core.platform import Platform
from loopline.platform_core.plugins import Installed
from loopline.platform_core.quota_settings import Quotas
from loopline.platform_core.quotas.usage import Usage
from loopline.platform_core.specs.model import Drift
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.local.serving import LocalServing
from loopline.watchdog.assembly import watchdog
from loopline.watchdog.look import Bounds
from loopline.watchdog.quota_look import QuotaLook

NOW = datetime(2011, 3, 1, tzinfo=UTC)


@dataclass
class Runs:
    """Answers as Dagster's web server does, with these jobs under way."""

    jobs: list[str] = field(default_factory=list)

    def runs(self, statuses: Sequence[str], limit: int) -> list[dict[str, Any]]:
        """List them."""
        assert "QUEUED" in statuses
        return [{"jobName": job} for job in self.jobs[:limit]]


@pytest.fixture
def platform(tmp_path):
    """Open an installation whose serving keeps 850 bytes of logs, and a training that claimed 4 CPUs."""
    bindings = {
        "lake": DeltaLake(root=f"{tmp_path}/lake"),
        "serving": LocalServing(root=f"{tmp_path}/serving", port=1),
    }
    quotas = Quotas(runs=2, cpus=4, gpus=1, storage_bytes=10_000, requests_per_second=100, log_bytes=1000)
    ledger = f"sqlite:///{tmp_path}/ledger.db"
    opened = Platform(Environment("test", tmp_path, bindings, ledger, None, tmp_path, quotas=quotas))
    (tmp_path / "serving" / "log" / "m").mkdir(parents=True)
    (tmp_path / "serving" / "log" / "m" / "w-0.frames").write_bytes(b"x" * 850)
    one = cycles.open_cycle(opened.ledger, ModelRef("shop", "one"), Drift(), "test", "k", NOW, force=True)
    opened.ledger.record(Entry(CLAIMED, NOW, *one.ref, one.cycle_id, details={"cpus": 4, "gpus": 0}))
    yield opened
    opened.close()


def test_usage(platform, tmp_path):
    """Each is counted where it is held; a rate is known from the second look on."""
    times = iter([0.0, 2.0])
    look = QuotaLook(platform, Runs(["loopline_cycle", "loopline_rollout_step"]), lambda: next(times))
    rate = Rate(tmp_path / "serving" / "allowances", 100, Counter())
    rate()
    first = {one.name: one for one in look.usage()}
    assert [(one.used, one.share) for one in first.values()] == [
        (1, 0.5),
        (4, 1.0),
        (0, 0.0),
        (first["storage_bytes"].used, 0.085 + 32 / 10_000),
        (None, None),
        (850, 0.85),
    ]
    assert first["storage_bytes"].note == "lake 0 B, serving 882 B"
    for _ in range(60):
        rate()
    assert {one.name: one.used for one in look.usage()}["requests_per_second"] == 30.0
    assert Usage("gpus", 0, 0).share == 0.0, "none of none is used"
    assert Usage("gpus", 1, 0).share == 1.0
    unseen = {one.name: one for one in QuotaLook(platform).usage()}
    assert (unseen["runs"].used, unseen["runs"].note) == (None, "Dagster does not run here")


def test_alarms_at_eighty_percent_and_at_the_end(platform, tmp_path):
    """They stand while it is so, get graver, and end by themselves; one that cannot be told stays as it was."""
    dog = watchdog(platform, "", Bounds(patience=0), lambda _: None)
    dog.round()
    found = {one.alarm.cause: one.alarm for one in alarms.standing(platform.ledger, "quota:")}
    assert {cause: alarm.severity for cause, alarm in found.items()} == {
        "quota:cpus": "warning",
        "quota:log_bytes": "warning",
    }
    assert "quota log_bytes is nearly used up: 850 B of 1 kB, 85%" in found["quota:log_bytes"].problem
    assert "raise quotas.log_bytes in the environment file" in found["quota:log_bytes"].fix

    log = tmp_path / "serving" / "log" / "m" / "w-0.frames"
    log.write_bytes(b"x" * 1000)
    dog.round()
    (full,) = alarms.standing(platform.ledger, "quota:log_bytes")
    assert (full.alarm.severity, "is used up" in full.alarm.problem) == ("error", True)
    log.write_bytes(b"")
    dog.round()
    assert [one.alarm.cause for one in alarms.standing(platform.ledger, "quota:")] == ["quota:cpus"]


def test_prometheus_sees_what_the_watchdog_saw(platform):
    """Limits at once, use from the first round on."""
    nobody = Installed((), ())
    assert "loopline_quota_used{" not in exposition(platform, nobody).decode()
    watchdog(platform, "", Bounds(patience=0), lambda _: None).round()
    said = exposition(platform, nobody).decode()
    assert 'loopline_quota_limit{quota="log_bytes"} 1000' in said
    assert 'loopline_quota_used{quota="log_bytes"} 850' in said
    assert 'loopline_quota_used{quota="runs"}' not in said, "nobody could tell"


def test_the_command(platform, tmp_path, monkeypatch):
    """A line each, and 1 where one is used up."""
    monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path))
    file = tmp_path / "environment.yaml"
    serving = f"serving: {{vendor: local, root: '{tmp_path}/serving', port: 1}}"
    lake = f"lake: {{vendor: delta, root: '{tmp_path}/lake'}}"
    registry = (
        f"registry: {{vendor: mlflow, tracking_uri: 'sqlite:///{tmp_path}/m.db', artifacts: '{tmp_path}/models'}}"
    )
    bound = f"bindings: {{{serving}, {lake}, {registry}}}\nledger: 'sqlite:///{tmp_path}/ledger.db'\n"

    def run(quotas):
        file.write_text(bound + quotas)
        done = CliRunner().invoke(quota, ["--environment", str(file), "--output", "json"])
        return done.exit_code, json.loads(done.stdout)["quotas"]

    assert run("") == (0, [])
    code, (log,) = run("quotas: {log_bytes: 1000}\n")
    assert (code, log["used"], log["share"]) == (0, 850, 0.85)
    code, found = run("quotas: {cpus: 4, storage_bytes: 1 GB}\n")
    assert (code, [one["quota"] for one in found]) == (1, ["cpus", "storage_bytes"])
    assert "registry 0 B" in found[1]["note"]
    shown = CliRunner().invoke(quota, ["--environment", str(file)]).stdout
    assert ["cpus", "4", "4", "100%", "claimed", "by"] in [line.split()[:6] for line in shown.splitlines()]
