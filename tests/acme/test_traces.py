"""From a request to the file from which its model learnt, by ids alone, through the spans of three processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loopline.platform_core.testing.parts.ports import free_port

IN_PROCESS = "compute: {vendor: in_process}"
SUBPROCESS = 'compute: {vendor: subprocess, root: "${LOOPLINE_HOME}/compute"}'
PORT = 'port: "${LOOPLINE_INFERENCE_PORT:-8080}"'
REQUESTS = ', gateway: {traces: "file:${LOOPLINE_HOME}/spans.jsonl"}'
LOOP = 'traces: "file:${LOOPLINE_HOME}/spans.jsonl"\n'

Span = dict[str, Any]


@pytest.fixture(scope="module")
def spans(acme) -> list[Span]:
    """Go once around the loop, trained in a process of its own, and ask the endpoint; all of it traced."""
    file = acme.home / "acme.yaml"
    text = file.read_text().replace(IN_PROCESS, SUBPROCESS).replace(PORT, PORT + REQUESTS)
    file.write_text(text + LOOP)
    acme.json(str(Path(__file__).with_name("one_turn.py")), LOOPLINE_INFERENCE_PORT=str(free_port()))
    return [json.loads(line) for line in (acme.home / "spans.jsonl").read_text().splitlines()]


def named(spans: list[Span], name: str) -> Span:
    """Return the one span of a name."""
    (found,) = [span for span in spans if span["name"] == name]
    return found


def of_trace(spans: list[Span], trace: str) -> list[Span]:
    """Return the spans of a trace."""
    return [span for span in spans if span["context"]["trace_id"] == trace]


def test_a_request_leads_to_the_file(spans: list[Span]) -> None:
    """Request → its cycle's trace → the training set → the landing → the names of the files."""
    request = named(spans, "POST acme.stops")
    (to_cycle,) = request["links"]
    cycle = of_trace(spans, to_cycle["context"]["trace_id"])
    assert {span["attributes"]["loopline.cycle"] for span in cycle} == {request["attributes"]["loopline.cycle"]}
    learnt = named(cycle, "training set")
    (to_landing,) = learnt["links"]
    landing = next(span for span in spans if span["context"]["span_id"] == to_landing["context"]["span_id"])
    assert landing["name"] == "land"
    assert landing["attributes"]["loopline.arrivals"][:2] == ["000.csv", "001.csv"]
    assert landing["attributes"]["loopline.rows"] == 720


def test_the_cycle_s_trace_tells_the_turn_in_order(spans: list[Span]) -> None:
    """From its opening to its end, whichever process did a step; the training is a child of who ordered it."""
    trace = named(spans, "cycle opened")["context"]["trace_id"]
    told = sorted(of_trace(spans, trace), key=lambda span: span["start_time"])
    steps = ["cycle opened", "training set", "model", "train", "gates", "deployment", "rollout step", "cycle closed"]
    assert [span["name"] for span in told] == steps
    by_name = {span["name"]: span for span in told}
    assert by_name["train"]["parent_id"] == by_name["model"]["context"]["span_id"]
    assert by_name["rollout step"]["parent_id"] == by_name["deployment"]["context"]["span_id"]
    version = {by_name[name]["attributes"]["loopline.version"] for name in ("model", "train", "gates", "deployment")}
    assert version == {"1"}
    assert by_name["rollout step"]["attributes"]["loopline.action"] == "promote"
    assert by_name["cycle closed"]["attributes"]["loopline.state"] == "promoted"


def test_views_are_materialized_in_the_trace_of_the_landing(spans: list[Span]) -> None:
    """What landed is the cause of the features that were made of it."""
    landing = named(spans, "land")
    made = [span for span in spans if span["name"] == "materialize"]
    assert made
    assert {span["parent_id"] for span in made} == {landing["context"]["span_id"]}


def test_no_key_and_no_value_of_a_row_is_in_a_span(spans: list[Span]) -> None:
    """Spans go to other people's tools: ids, names and counts are enough."""
    allowed = {"team", "source", "model", "view", "version", "cycle", "cause", "state", "rollout", "action", "percent"}
    allowed |= {"reason", "rows", "rows_online", "dead_letters", "table_version", "raw_version", "arrivals", "as_of"}
    allowed |= {"arrivals_count", "training_set", "trials", "served_as", "passed", "failed", "request_id", "tenant"}
    allowed |= {"role", "missing_views", "stale_views"}
    used = {name for span in spans for name in span["attributes"] if name.startswith("loopline.")}
    assert {name.removeprefix("loopline.") for name in used} <= allowed
