"""What runs print goes to an object store; a store that is away fails no run."""

from __future__ import annotations

import json
import sys

import pytest

from loopline.asset_defs.dagster_bases import ComputeIOType
from loopline.platform_core.testing.inference_server import free_port
from loopline.pod.run_logs import ObjectRunLogs

KEY = ["run", "compute_logs", "step"]


@pytest.fixture
def logs(tmp_path, monkeypatch):
    """Keep what is printed in a store at a URL, each time as in a pod with a home of its own."""

    def make(pod: str, url: str, options: dict[str, str]) -> ObjectRunLogs:
        said = {"storage": "postgresql://host/dagster", "run_logs": url, "run_logs_options": options}
        file = tmp_path / "environment.yaml"
        file.write_text(json.dumps({"bindings": {}, "dagster": said}))
        monkeypatch.setenv("LOOPLINE_ENVIRONMENT", str(file))
        monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path / pod))
        return ObjectRunLogs()

    return make


def test_another_pod_reads_what_one_has_printed_until_it_is_deleted(logs, s3_server):
    """The pod that ran it may be gone."""
    place = s3_server.place(), s3_server.options_in_file
    with logs("one", *place).capture_logs(KEY):
        print("printed", file=sys.stderr, flush=True)  # noqa: T201
    read = logs("two", *place)
    assert read.get_log_data(KEY).stderr == b"printed\n"
    assert read.display_path_for_type(KEY, ComputeIOType.STDERR) == f"{place[0]}/run/compute_logs/step.err"
    read.delete_logs(prefix=["run"])
    assert logs("three", *place).get_log_data(KEY).stderr is None


def test_a_store_that_is_away_fails_no_run(logs, caplog):
    """It is told in the pod's own log."""
    options = {
        "aws_endpoint": f"http://127.0.0.1:{free_port()}",
        "aws_access_key_id": "k",
        "aws_secret_access_key": "${HOME}",
    }
    with logs("one", "s3://bucket/logs", {**options, "aws_region": "r"}).capture_logs(KEY):
        print("printed", file=sys.stderr, flush=True)  # noqa: T201
    assert "run/compute_logs/step.err" in caplog.text
