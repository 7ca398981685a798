"""A real Prometheus scrapes the platform's page, evaluates every rule, and answers every query of the dashboards."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
import yaml

from loopline.platform_core.environment import Environment
from loopline.platform_core.observability.exposition import CONTENT_TYPE, exposition
from loopline.platform_core.platform import Platform
from loopline.platform_core.plugins import Installed
from loopline.platform_core.testing.parts.ports import free_port
from tests.emulators.http_server import Answer, Request, Serving
from tests.waiting import until

DEPLOY = Path(__file__).parents[2] / "deploy"
_CHOSEN = re.compile(r"\$\{?(\w+)\}?")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Serve the page of a platform without a past; gives its address."""
    folder = tmp_path_factory.mktemp("page")
    platform = Platform(Environment("test", folder / "e.yaml", {}, f"sqlite:///{folder}/ledger.db", None, folder))

    def answered(_: Request) -> Answer:
        return Answer(200, exposition(platform, Installed((), ())), {"content-type": CONTENT_TYPE})

    with Serving(answered) as server:
        yield f"127.0.0.1:{server.port}"
    platform.close()


@pytest.fixture(scope="module")
def ask(page, tmp_path_factory):
    """Run Prometheus until it has scraped the page and evaluated the rules; gives its API."""
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    scraped = {"job_name": "loopline-portal", "static_configs": [{"targets": [page]}]}
    often = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    rules = [str(DEPLOY / "alerts" / "*.yaml")]
    config = {"global": often, "rule_files": rules, "scrape_configs": [scraped]}
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    options = [f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/data", "--log.level=error"]
    server = subprocess.Popen(["prometheus", *options, f"--web.listen-address=127.0.0.1:{port}"])

    def answer(path, **parameters):
        address = f"http://127.0.0.1:{port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(address, timeout=10) as reply:
            return json.load(reply)["data"]

    try:
        until(lambda: is_evaluated(answer), 60)
        yield answer
    finally:
        server.terminate()
        server.wait(200)


def is_evaluated(answer):
    """Say whether every rule was evaluated on what was scraped: then one notices that no watchdog is there."""
    try:
        active = {alert["labels"]["alertname"] for alert in answer("alerts")["alerts"]}
        evaluated = [rule["lastEvaluation"] for group in answer("rules")["groups"] for rule in group["rules"]]
    except OSError:
        return False
    return "WatchdogSilent" in active and not any(at.startswith("0001") for at in evaluated)


def test_the_page_is_scraped(ask):
    """Prometheus says that the target is up, and has its samples."""
    (up,) = ask("query", query='up{job="loopline-portal"}')["result"]
    assert up["value"][1] == "1"
    (build,) = ask("query", query="loopline_build_info")["result"]
    assert build["metric"]["environment"] == "test"


def test_every_rule_evaluates(ask):
    """None has an error; on a platform without a past only what is about processes that are not there is active."""
    rules = [rule for group in ask("rules")["groups"] for rule in group["rules"]]
    assert len(rules) > 25
    assert {rule["health"] for rule in rules} == {"ok"}, [rule["lastError"] for rule in rules if rule.get("lastError")]
    active = {alert["labels"]["alertname"] for alert in ask("alerts")["alerts"]}
    assert active <= {"WatchdogSilent", "PlatformSilent"}  # the latter from before the first scrape


@pytest.mark.parametrize("file", sorted(DEPLOY.glob("dashboards/*.json")), ids=lambda path: path.stem)
def test_every_query_of_a_dashboard_is_answered(ask, file):
    """With all of each choice, as a dashboard asks when it is opened."""
    for panel in json.loads(file.read_text())["panels"]:
        for target in panel.get("targets", ()):
            query = _CHOSEN.sub(lambda match: "5m" if match[1].startswith("__") else ".*", target["expr"])
            assert "result" in ask("query", query=query), panel["title"]
