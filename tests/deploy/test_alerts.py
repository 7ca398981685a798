"""The alert rules: they are well formed, fire on what they are for, and name metrics that are there."""

from __future__ import annotations

import asyncio
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from platform_core.environment import Environment
from platform_core.ingestion.stream_metrics import StreamMetrics
from platform_core.observability.exposition import exposition
from platform_core.platform import Platform
from platform_core.plugins import Installed
from platform_core.runtime.app import App
from platform_core.runtime.inference import Inference
from platform_core.testing.fakes.online_store import InMemoryOnlineStore

RULES = sorted(Path(__file__).parents[2].joinpath("deploy/alerts").glob("*.yaml"))
CASES = Path(__file__).with_name("alerts")
PROMETHEUS_OWN = {"up"}
_TYPED = re.compile(r"^# TYPE (\S+) (\S+)$", re.MULTILINE)
_SELECTED = re.compile(r"\b(up|loopline_\w+)\b")
names = pytest.mark.parametrize("rules", RULES, ids=lambda path: path.stem)


def promtool(*arguments):
    """Run promtool, which Debian's package prometheus brings."""
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def alerts(rules):
    """Return the alerts of a file."""
    return [rule for group in yaml.safe_load(rules.read_text())["groups"] for rule in group["rules"]]


@pytest.fixture(scope="module")
def metrics(tmp_path_factory):
    """Return the names of all series on the /metrics of the server, of a stream and of the platform."""
    folder = tmp_path_factory.mktemp("metrics")
    platform = Platform(Environment("test", folder / "e.yaml", {}, f"sqlite:///{folder}/ledger.db", None, folder))
    own = exposition(platform, Installed((), ())).decode()
    platform.close()
    texts = [asyncio.run(scraped()), StreamMetrics("shop.orders").text().decode(), own]
    found = set(PROMETHEUS_OWN)
    for name, kind in _TYPED.findall("\n".join(texts)):
        found |= {f"{name}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else {name}
    return found


async def scraped():
    """Ask a server without models for its /metrics."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    app = App(Inference(InMemoryOnlineStore(), lambda *_: None), lifespan=None, ready=lambda: True)
    await app({"type": "http", "method": "GET", "path": "/metrics", "headers": []}, receive, send)
    return sent[1]["body"].decode()


@names
def test_rules_fire_on_what_they_are_for(rules):
    """Promtool plays series and compares the alerts, words included."""
    promtool("check", "rules", rules)
    promtool("test", "rules", CASES / rules.name)


@names
def test_every_alert_is_played(rules):
    """Each is seen to fire at least once."""
    played = yaml.safe_load((CASES / rules.name).read_text())["tests"]
    fired = {case["alertname"] for test in played for case in test["alert_rule_test"] if case["exp_alerts"]}
    assert {rule["alert"] for rule in alerts(rules)} == fired


@names
def test_every_metric_is_there(rules, metrics):
    """A rule about a series that nobody writes is silent for ever."""
    selected = {name for rule in alerts(rules) for name in _SELECTED.findall(rule["expr"])}
    assert selected
    assert selected - metrics == set()


@names
def test_every_alert_says_what_to_do(rules):
    """Whoever is woken reads what is wrong and what to do."""
    for rule in alerts(rules):
        assert set(rule["annotations"]) == {"summary", "action"}, rule["alert"]
        assert rule["labels"]["severity"] in {"warning", "critical"}, rule["alert"]
