"""The teams' stories, told as people ask for them: each holds, and loses no request on its way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from loopline.demo import found
from loopline.platform_core.testing.parts.ports import free_port

TOLD_ELSEWHERE = {"cancellations": "make demo"}
LOOPLINE = Path(sys.executable).with_name("loopline")


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", sorted({*found.names()} - {*TOLD_ELSEWHERE}))
def test_a_story_holds(name: str, tmp_path: Path) -> None:
    """Drift is found, what is learnt anew is promoted, a mistake is taken back; nothing fails on the way."""
    variables = {"LOOPLINE_HOME": str(tmp_path / "home"), "LOOPLINE_INFERENCE_PORT": str(free_port())}
    done = subprocess.run(
        [LOOPLINE, "demo", name, "--output", "json"],
        env=os.environ | variables,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=1100,
        check=False,
    )
    facts = json.loads(done.stdout.splitlines()[-1])
    assert facts["held"], facts["broken"]
    assert facts["requests_failed"] == 0
    assert facts["requests_served"] > 100
    assert done.returncode == 0
