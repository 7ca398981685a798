"""Vertex AI's path before the application: what it leads to, and what is refused in the protocol's own shape."""

from __future__ import annotations

import json

import pytest

from loopline.platform_core.runtime.raw_predictions import RawPredictions
from loopline.platform_core.testing.model_packages import Constant

MODEL = "retail.cancellations"
ONE = {
    "inputs": [
        {"name": "customer_id", "shape": [1], "datatype": "INT64", "data": [7]},
        {"name": "amount", "shape": [1], "datatype": "FP64", "data": [2.5]},
    ]
}


@pytest.fixture
def handed(server):
    """Give a server that answers to Vertex AI's path."""
    server.app = RawPredictions(server.app, server.inference.models)
    return server


def predict(server, body=ONE, content_type="application/json", **parameters):
    """Ask as the service hands a request on: a body and its content type."""
    if not isinstance(body, bytes):
        body = json.dumps({**body, "parameters": parameters} if parameters else body).encode()
    return server.ask("POST", "/predict", body, {"Content-Type": content_type})


def test_the_only_model_needs_no_name(handed):
    """Nothing but the protocol's request is sent; the answer is the protocol's, and is logged as any other."""
    handed.serve(Constant(0.7))
    reply = predict(handed)
    assert (reply.status, reply.json["outputs"][0]["data"]) == (200, [0.7])
    assert [record.request_id for _, record in handed.logged] == [reply.json["id"]]


def test_parameters_name_model_and_version(handed):
    """Beside what else they say; a version that is not served is as unknown as by its own path."""
    handed.serve(Constant(0.7), candidate=Constant(0.9), percent=0)
    asked = [{"model": MODEL}, {"model": MODEL, "version": "1", "event_time": "2026-01-01"}]
    asked.append({"model": MODEL, "version": 2})
    assert [predict(handed, **one).json["outputs"][0]["data"] for one in asked] == [[0.7], [0.7], [0.9]]
    assert predict(handed, model=MODEL, version="9").status == 404


@pytest.mark.parametrize(
    "model", ["retail.other", "../../health/ready", "?x=1", f"{MODEL}/versions/1", f"{MODEL}/infer#", "%2e", 7]
)
def test_an_unknown_model_is_not_found(handed, model):
    """No name leads to another path than that of a request."""
    handed.serve()
    reply = predict(handed, model=model)
    assert (reply.status, "error" in reply.json) == (404, True)


@pytest.mark.parametrize("body", [b"", b"[1]", b'{"parameters": 1}', b'{"parameters": {"model": {}}', b"\xff"])
def test_what_is_no_request_is_refused(handed, body):
    """By who reads all of it, with what is wrong."""
    handed.serve()
    assert predict(handed, body).status == 400


def test_binary_tensors_begin_where_the_content_type_says(handed):
    """The model's name is looked for before them alone."""
    handed.serve(Constant(0.7))
    inputs = [{**ONE["inputs"][0], "parameters": {"binary_data_size": 8}}, ONE["inputs"][1]]
    del inputs[0]["data"]
    head = json.dumps({"inputs": inputs, "parameters": {"model": MODEL}}).encode()
    content_type = f"application/octet-stream;json-header-size={len(head)}"
    reply = predict(handed, head + (7).to_bytes(8, "little"), content_type)
    assert (reply.status, reply.json["outputs"][0]["data"]) == (200, [0.7])


def test_other_paths_are_left_as_they_are(handed):
    """The protocol's own, and the path under another method."""
    handed.serve()
    assert handed.ask("GET", "/v2/health/live").status == 200
    assert handed.ask("GET", "/predict").status == 404
