"""The portal's /metrics: what Prometheus scrapes, of a home with a past."""

from __future__ import annotations

import subprocess


def test_prometheus_may_scrape_the_portal(client):
    """A page in its own format, which its own linter finds no fault with, and which tells the home's story."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    linted = subprocess.run(["promtool", "check", "metrics"], input=answer.content, capture_output=True, check=False)
    assert (linted.returncode, linted.stdout, linted.stderr) == (0, b"", b"")
    assert 'loopline_teams{state="quarantined"} 1' in answer.text
    assert "loopline_rollout_candidate_ratio{team=" in answer.text
