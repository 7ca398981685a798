"""Every environment file that we ship binds every contract to a vendor that is installed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loopline.platform_core import environment
from loopline.platform_core.contracts import CONTRACTS

NOBODY_NEEDS = {"notifier", "lineage", "secrets", "anchors"}
"""What tells others, who keeps secrets where variables do, and what holds the audit: an environment works without."""
UNSET = re.compile(r"\$\{(\w+)\}")
"""Variables without a default: a cluster's Secret sets them."""
CLOUDS = {"aws", "gcp", "azure"}
"""Their variables are of many kinds: `tests/platform_core/test_cloud_environments.py`."""
SHIPPED = Path(__file__).parents[2].joinpath("deploy", "environments").glob("*.yaml")
FILES = sorted(file for file in SHIPPED if file.stem.partition("-")[0] not in CLOUDS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_environment_binds_every_contract(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No server is asked: binding checks vendors and settings only."""
    for name in UNSET.findall(file.read_text()):
        monkeypatch.setenv(name, "redis://stated")
    monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path))
    bound = environment.read(file)
    assert set(bound.bindings) >= set(CONTRACTS) - NOBODY_NEEDS
    assert bound.name == file.stem
    assert "$" not in repr(bound)


def test_the_notifiers_of_the_example_bind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands as a comment in the file for servers works once its marks are taken away."""
    monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path))
    monkeypatch.setenv("LOOPLINE_SLACK_URL", "https://hooks.slack.com/services/T0/B0/secret")
    monkeypatch.setenv("LOOPLINE_SMTP_PASSWORD", "secret")
    monkeypatch.setenv("LOOPLINE_WEBHOOK_SECRET", "secret")
    text = next(file for file in FILES if file.stem == "servers").read_text()
    comment, uncommented = text.partition("# notifiers:")[::2]
    file = tmp_path / "servers.yaml"
    file.write_text(comment + "notifiers:" + uncommented.replace("\n#  ", "\n "))
    bound = environment.read(file)
    assert {name: type(one).__name__ for name, one in bound.notifiers.items()} == {
        "on-call": "SlackNotifier",
        "retail": "SmtpNotifier",
        "pager": "WebhookNotifier",
    }
    assert "secret'" not in repr(bound)
    assert "T0/B0" not in repr(bound)
