"""The tables that Dagster's pods share, on a real PostgreSQL."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PREPARE = """
import json
import dagster as dg
from loopline.pod import instance, settings
found = settings.of_environment()
instance.write(found)
made = instance.prepare(found)
with dg.DagsterInstance.get() as opened:
    kind = type(opened.run_coordinator).__name__, type(opened.compute_log_manager).__name__
    most = opened.get_concurrency_config().run_queue_config.max_concurrent_runs
    print(json.dumps([made, opened.get_runs_count(), *kind, most]))
"""


@pytest.fixture
def variables(tmp_path, new_database):
    """Give the variables of a pod; each call gives one with a home of its own."""
    file = tmp_path / "environment.yaml"
    file.write_text(f"bindings: {{}}\ndagster: {{storage: '{new_database()}', run_logs: 's3://b/l', runs: 7}}\n")

    def make(name: str) -> dict[str, str]:
        return {**os.environ, "LOOPLINE_ENVIRONMENT": str(file), "LOOPLINE_HOME": str(tmp_path / name)}

    return make


def test_several_pods_at_once_make_the_tables_once(variables):
    """On an empty database one of three makes them, the others wait and find them; Dagster takes the settings."""
    command = [sys.executable, "-c", PREPARE]
    pods = [
        subprocess.Popen(command, env=variables(name), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for name in "abc"
    ]
    said = [pod.communicate() for pod in pods]
    assert [pod.returncode for pod in pods] == [0, 0, 0], said
    expected = '0, "TeamQueue", "ObjectRunLogs", 7]\n'
    assert sorted(out for out, _ in said) == [f"[false, {expected}", f"[false, {expected}", f"[true, {expected}"]
