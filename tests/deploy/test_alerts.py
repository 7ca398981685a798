"""The alert rules: they are well formed, fire on what they are for, and name metrics that are there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

RULES = sorted(Path(__file__).parents[2].joinpath("deploy/alerts").glob("*.yaml"))
CASES = Path(__file__).with_name("alerts")
_SELECTED = re.compile(r"\b(up|loopline_\w+)\b")
names = pytest.mark.parametrize("rules", RULES, ids=lambda path: path.stem)


def promtool(*arguments):
    """Run promtool, which Debian's package prometheus brings."""
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def alerts(rules):
    """Return the alerts of a file."""
    return [rule for group in yaml.safe_load(rules.read_text())["groups"] for rule in group["rules"]]


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
def test_every_metric_is_there(rules, series):
    """A rule about a series that nobody writes is silent for ever."""
    selected = {name for rule in alerts(rules) for name in _SELECTED.findall(rule["expr"])}
    assert selected
    assert selected - set(series) == set()


@names
def test_every_alert_says_what_to_do(rules):
    """Whoever is woken reads what is wrong and what to do."""
    for rule in alerts(rules):
        assert set(rule["annotations"]) == {"summary", "action"}, rule["alert"]
        assert rule["labels"]["severity"] in {"warning", "critical"}, rule["alert"]
