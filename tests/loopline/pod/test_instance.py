"""The tables that Dagster's pods share, on a real PostgreSQL."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from loopline.platform_core.alarms.pages import DAGSTER_URL, Pages
from loopline.pod import instance, settings

SHIPPED = Path(__file__).parents[3] / "deploy" / "environments" / "kubernetes.yaml"
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


def test_what_a_pod_writes_changes_no_variable_of_the_environment_file(tmp_path, monkeypatch):
    """Its file is read again by every process that the pod starts, and means what it meant.

    What a pod is told of the web server stays: a link goes to chats and mails, where no password belongs.
    """
    taken = set(re.findall(r"\$\{(\w+)", SHIPPED.read_text())) | {DAGSTER_URL}
    before = {name: f"{name} as it was" for name in taken}
    for name in (*taken, "LOOPLINE_HOME", "DAGSTER_HOME", instance.STORAGE, "DAGSTER_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, before.get(name, str(tmp_path)))  # what is written over it is undone
    instance.write(settings.DagsterSettings(storage="postgresql://anna:secret@host/dagster"))
    assert {name: os.environ[name] for name in taken} == before
    assert Pages.known().run("7") == f"{before[DAGSTER_URL]}/runs/7"
