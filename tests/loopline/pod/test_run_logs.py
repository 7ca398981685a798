"""What runs print goes to an object store of any cloud; a store that is away fails no run."""

from __future__ import annotations

import json
import sys
import time

import dagster as dg
import httpx
import pytest

from loopline.asset_defs.private.dagster_bases import ComputeIOType
from loopline.platform_core.testing.parts.ports import free_port
from loopline.pod.run_logs import ObjectRunLogs

KEY = ["run", "compute_logs", "step"]


@pytest.fixture
def logs(tmp_path, monkeypatch):
    """Keep what is printed in a store at a URL, each time as in a pod with a home of its own."""

    def make(pod: str, url: str, options: dict[str, str], **more: int) -> ObjectRunLogs:
        for name, value in options.items():  # which are credentials, some of them
            monkeypatch.setenv(f"TESTS_{name.upper()}", value)
        named = {name: f"${{TESTS_{name.upper()}}}" for name in options}
        said = {"storage": "postgresql://host/dagster", "run_logs": url, "run_logs_options": named, **more}
        file = tmp_path / "environment.yaml"
        file.write_text(json.dumps({"bindings": {}, "dagster": said}))
        monkeypatch.setenv("LOOPLINE_ENVIRONMENT", str(file))
        monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path / pod))
        return ObjectRunLogs()

    return make


def test_another_pod_reads_what_one_has_printed_until_it_is_deleted(logs, store_server, cloud):
    """The pod that ran it may be gone. A signed link opens the log for whoever has it, and ends (not shown for gs)."""
    place = store_server.place(), store_server.options
    with logs("one", *place).capture_logs(KEY):
        print("printed", file=sys.stderr, flush=True)  # noqa: T201
    read = logs("two", *place, run_log_link_seconds=2)
    assert read.get_log_data(KEY).stderr == b"printed\n"
    assert read.display_path_for_type(KEY, ComputeIOType.STDERR) == f"{place[0]}/run/compute_logs/step.err"
    if cloud != "gs":  # its emulator knows no signed URLs
        link = _fetched_in_time(read)
        assert httpx.get(link.replace("step.err", "step.out"), timeout=60).is_client_error
        time.sleep(2.5)  # a link ends by the store's clock
        assert httpx.get(link, timeout=60).is_client_error
    read.delete_logs(prefix=["run"])
    assert logs("three", *place).get_log_data(KEY).stderr is None
    assert read.get_log_metadata(KEY).stderr_download_url is None


def _fetched_in_time(logs: ObjectRunLogs) -> str:
    """Fetch a log by a link before that ends, which a machine that is busy may miss."""
    for _ in range(20):
        link = logs.get_log_metadata(KEY).stderr_download_url
        assert link
        answer = httpx.get(link, timeout=60)
        if answer.is_success:
            assert answer.content == b"printed\n"
            return link
    raise AssertionError(answer.text)


def test_dagster_shows_what_a_step_printed_elsewhere(logs, azurite, tmp_path, monkeypatch):
    """A run's step prints in one instance of Dagster, and another one, of another pod, gives it to the page."""
    place = azurite.place(), azurite.options

    @dg.job
    def noisy() -> None:
        @dg.op
        def step() -> None:
            print("from a step", flush=True)  # noqa: T201

        step()

    settings = {"compute_logs": {"module": "loopline.pod.run_logs", "class": "ObjectRunLogs", "config": {}}}
    logs("one", *place)
    with dg.instance_for_test(overrides=settings) as instance:
        ran = noisy.execute_in_process(instance=instance)
        (event,) = (one for one in instance.all_logs(ran.run_id) if one.dagster_event_type == _CAPTURED)
        log_key = [ran.run_id, "compute_logs", event.get_dagster_event().logs_captured_data.file_key]
    logs("two", *place)
    with dg.instance_for_test(overrides=settings) as other:
        assert other.compute_log_manager.get_log_data(log_key).stdout == b"from a step\n"


_CAPTURED = dg.DagsterEventType.LOGS_CAPTURED


def test_a_store_that_is_away_fails_no_run(logs, caplog):
    """It is told in the pod's own log, and a page has no link."""
    away = {
        "aws_endpoint": f"http://127.0.0.1:{free_port()}",
        "aws_access_key_id": "k",
        "aws_secret_access_key": "s",
        "aws_region": "r",
    }
    away_logs = logs("one", "s3://bucket/logs", away, run_log_link_seconds=60)
    with away_logs.capture_logs(KEY):
        print("printed", file=sys.stderr, flush=True)  # noqa: T201
    assert "run/compute_logs/step.err" in caplog.text
    assert away_logs.download_url_for_type(KEY, ComputeIOType.STDERR) is None
