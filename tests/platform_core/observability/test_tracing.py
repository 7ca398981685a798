"""Spans of the loop: in whose trace they are, what they carry between processes, and what they cost while off."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from loopline.platform_core.errors import InvalidEnvironment
from loopline.platform_core.foundation import trace_ids, tracing


@pytest.fixture
def spans(tmp_path):
    """Trace into a file; calling it stops, and gives what was written, by name."""
    tracing.start(f"file:{tmp_path}/spans.jsonl")

    def read():
        tracing.stop()
        found = [json.loads(line) for line in (tmp_path / "spans.jsonl").read_text().splitlines()]
        return {span["name"]: span for span in found}

    yield read
    tracing.stop()


def python(script, **environment):
    """Run a script in a fresh interpreter without OpenTelemetry's variables."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", script], env=inherited | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_off_nothing_of_opentelemetry_is_imported():
    """Neither the platform nor a span brings it in while nobody asked for traces."""
    script = (
        "import sys; from loopline.platform_core import turn; from loopline.platform_core.foundation import tracing\n"
        "tracing.start(None)\n"
        "with tracing.span('land', cycle='c', team='t') as spanned: spanned.note(rows=1)\n"
        "loaded = [name for name in sys.modules if name.startswith('opentelemetry')]\n"
        "print(loaded, tracing.trace_details(), tracing.on())"
    )
    assert python(script).strip() == "[] {} False"


def test_off_a_span_costs_next_to_nothing():
    """Ten thousand spans take a few hundredths of a second; the limit leaves room for a busy machine."""
    began = time.process_time()
    for _ in range(10_000):
        with tracing.span("land", team="t", source="s") as spanned:
            spanned.note(rows=1)
    assert time.process_time() - began < 0.5


def test_a_cycle_has_one_trace_whoever_adds_to_it(spans):
    """Its first span has the ids that every process works out for itself, and the steps are its children."""
    tracing.opened("shop.a-1", team="shop")
    with tracing.span("gates", cycle="shop.a-1"):
        pass
    found = spans()
    _, trace, first, _ = trace_ids.of_cycle("shop.a-1").split("-")
    assert found["cycle opened"]["context"]["trace_id"] == found["gates"]["context"]["trace_id"] == f"0x{trace}"
    assert found["cycle opened"]["context"]["span_id"] == found["gates"]["parent_id"] == f"0x{first}"
    assert found["cycle opened"]["parent_id"] is None
    assert found["gates"]["attributes"] == {"loopline.cycle": "shop.a-1"}


def test_a_step_within_a_step_is_its_child(spans):
    """The cycle's first span is a step's parent only where no step of the cycle runs."""
    with tracing.span("deployment", cycle="c"), tracing.span("rollout step", cycle="c"):
        pass
    found = spans()
    assert found["rollout step"]["parent_id"] == found["deployment"]["context"]["span_id"]


def test_a_span_goes_on_where_it_is_told_to(spans):
    """What ``here`` gives in one process is the parent in another."""
    with tracing.span("model", cycle="c"):
        carried = tracing.trace_details()
    with tracing.span("train", cycle="c", parent=carried["trace"]):
        pass
    found = spans()
    assert found["train"]["parent_id"] == found["model"]["context"]["span_id"]


def test_links_lead_to_other_traces(spans):
    """Those given at once and those found later."""
    with tracing.span("land") as _:
        landed = tracing.trace_details(version=3)
    with tracing.span("training set", links=[landed["trace"]]) as spanned:
        spanned.link([trace_ids.of_cycle("c")])
    found = spans()
    led = [link["context"]["trace_id"] for link in found["training set"]["links"]]
    assert led == [found["land"]["context"]["trace_id"], f"0x{trace_ids.of_cycle('c').split('-')[1]}"]
    assert landed["version"] == 3


def test_an_error_marks_its_span_without_its_words(spans):
    """Words may hold rows of somebody's; the type says enough to look on."""
    with pytest.raises(ValueError, match="Ada Lovelace"), tracing.span("land"):
        raise ValueError("Ada Lovelace was born in 1815")
    found = spans()["land"]
    assert found["attributes"] == {"error.type": "ValueError"}
    assert found["status"]["status_code"] == "ERROR"
    assert "Ada" not in json.dumps(found)


def test_a_process_that_is_forked_sends_its_spans_before_it_ends(tmp_path):
    """Runs are forks that never come to ``atexit``."""
    script = (
        "import multiprocessing\n"
        "from loopline.platform_core.foundation import tracing\n"
        "def run():\n"
        f"    tracing.start('file:{tmp_path}/spans.jsonl')\n"
        "    with tracing.span('land'): pass\n"
        "process = multiprocessing.get_context('fork').Process(target=run); process.start(); process.join()"
    )
    python(script)
    assert json.loads((tmp_path / "spans.jsonl").read_text())["name"] == "land"


def test_the_standard_variables_turn_it_on():
    """With OpenTelemetry's own endpoint set, spans are sent there; its own switch turns them off again."""
    received = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    script = (
        "from loopline.platform_core.foundation import tracing; tracing.start()\n"
        "with tracing.span('land', source='orders'): pass"
    )
    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{server.server_port}"}
        python(script, **endpoint, OTEL_SDK_DISABLED="true")
        assert received == []
        python(script, **endpoint)
        server.shutdown()
    ((path, body),) = received
    assert path == "/v1/traces"
    assert b"loopline.source" in body


def test_a_place_that_is_none_is_refused():
    """With what to write instead."""
    with pytest.raises(InvalidEnvironment, match="'jaeger' is no place"):
        tracing.start("jaeger")
    assert not tracing.on()
