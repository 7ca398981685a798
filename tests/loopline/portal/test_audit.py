"""The record in the portal: who decided what, each entry with its proof, and all of it to take away."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from loopline.platform_core.audit import exporting, keys, recording, sealing
from loopline.platform_core.environment import Access
from loopline.portal.pages import audit
from loopline.stories.portal_home import PortalHome


@pytest.fixture
def told_of(told: PortalHome) -> PortalHome:
    """Add an attempt that was denied, and one name that is no HTML of ours."""
    recording.note(told.platform.ledger, "attempt.denied", "zed", outcome="denied", subject="freeze of shop/returns")
    recording.note(told.platform.ledger, "tenant.named", "<b>x</b>", subject="<script>alert(1)</script>")
    return told


def entries(client: TestClient, **filters: Any) -> list[dict[str, Any]]:
    """Ask for a page's entries."""
    return client.get("/audit.json", params=filters).json()["entries"]


def test_it_is_read_page_by_page_and_filtered(
    told_of: PortalHome, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every entry stands on one page, the newest first; filters are of who, what and outcome.

    One that takes few reads no years at once: it says where it goes on, also where nothing was found yet.
    """
    assert told_of
    numbers, before = [], None
    while True:
        page = client.get("/audit.json", params={"size": 7} | ({"before": before} if before else {})).json()
        numbers += [entry["number"] for entry in page["entries"]]
        if (before := page["more"]) is None:
            break
    assert len(numbers) > 14
    assert numbers == sorted(set(numbers), reverse=True)
    assert [entry["who"] for entry in entries(client, outcome="denied")] == ["zed"]
    assert {entry["what"].partition(".")[0] for entry in entries(client, what="rollout.")} == {"rollout"}
    assert entries(client, who="nobody") == []
    assert client.get("/audit.json", params={"outcome": "maybe"}).status_code == 400
    page = client.get("/audit", headers={"accept": "text/html"}).text
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    monkeypatch.setattr(audit, "MOST", 3)
    page = client.get("/audit.json", params={"who": "nobody"}).json()
    assert page["entries"] == []
    assert page["more"] is not None
    assert "among those that were looked at" in client.get("/audit?who=nobody", headers={"accept": "text/html"}).text


def test_an_entry_has_its_proof_once_it_is_sealed(told_of: PortalHome, client: TestClient, tmp_path: Path) -> None:
    """What the page shows is verified by the script that we ship, with the public key alone."""
    newest = entries(client)[0]["number"]
    said = client.get(f"/audit/{newest}.json").json()
    assert said["proof"] == ""
    assert "loopline audit seal" in said["unsealed"]
    key = keys.new("portal-test")
    sealing.seal(told_of.platform.ledger, key)
    proof = client.get(f"/audit/{newest}.json").json()["proof"]
    (tmp_path / "proof.jsonl").write_text(f"{proof}\n")
    (tmp_path / "key.pub").write_text(key.verifying.text)
    verify = [sys.executable, str(exporting.OFFLINE), str(tmp_path / "proof.jsonl"), str(tmp_path / "key.pub")]
    assert subprocess.run(verify, check=False, capture_output=True).returncode == 0
    (tmp_path / "proof.jsonl").write_text(f"{proof.replace('tenant.named', 'tenant.nomed')}\n")
    assert subprocess.run(verify, check=False, capture_output=True).returncode != 0
    assert client.get("/audit/999999999.json").status_code == 404


def test_it_is_taken_away_whole_and_that_is_written_down(
    told_of: PortalHome, client: TestClient, tmp_path: Path
) -> None:
    """A line an entry after the checkpoint's; where policies are asked nobody exports unknown, by a name in a form."""
    sealing.seal(told_of.platform.ledger, keys.new("portal-test"))
    answer = client.get("/audit/export")
    head, *lines = answer.text.splitlines()
    assert "checkpoint" in json.loads(head)
    assert len(lines) == entries(client)[0]["number"] - 1  # the newest says that it was done
    few = client.get("/audit/export", params={"team": "shop", "model": "returns", "what": "rollout."}).text.splitlines()
    assert 1 < len(few) < len(lines)
    assert answer.headers["content-disposition"].startswith("attachment")
    newest = entries(client)[0]
    assert (newest["what"], newest["who"]) == ("audit.exported", "somebody at the portal")
    (tmp_path / "roles.yaml").write_text("platform: {auditor: [eve]}\n")
    told_of.platform.environment = replace(told_of.platform.environment, access=Access(tmp_path / "roles.yaml"))
    refused = client.get("/audit/export", headers={"accept": "application/json"})
    assert refused.status_code == 403
    assert "nobody has signed in" in refused.json()["error"]["problem"]
