"""Paths of clouds' services before the application: what they lead to, and what is refused in the protocol's shape.

SageMaker hands a request on as ``/invocations`` with custom attributes, Vertex AI as ``/predict`` with a body alone.
"""

from __future__ import annotations

import json

import pytest

from loopline.platform_core.runtime.app import App
from loopline.platform_core.runtime.invocations import Invocations
from loopline.platform_core.runtime.raw_predictions import RawPredictions
from loopline.platform_core.runtime.settings.limits import Limits
from loopline.platform_core.runtime.wire.bounds import Bounds
from loopline.platform_core.testing.parts.model_packages import Constant
from tests.platform_core.runtime.conftest import MODEL, tensors

ATTRIBUTES, TYPE = "X-Amzn-SageMaker-Custom-Attributes", "Content-Type"
ONE = {"inputs": tensors(customer_id=[7], amount=[2.5])}


@pytest.fixture
def invoked(server):
    """Give a server that answers to SageMaker's paths."""
    server.app = Invocations(server.app, server.inference.models)
    return server


@pytest.fixture
def handed(server):
    """Give a server that answers to Vertex AI's path."""
    server.app = RawPredictions(server.app, server.inference.models)
    return server


@pytest.fixture(params=["invoked", "handed"])
def asked(request):
    """Give either server, and how it is asked: for SageMaker's with attributes, for Vertex AI's with parameters."""
    server = request.getfixturevalue(request.param)
    if request.param == "handed":
        return server, lambda body=ONE, **named: predict(server, body, **named)
    return server, lambda body=ONE, **named: invoke(server, body, ";".join(f"{k}={v}" for k, v in named.items()))


def invoke(server, body=ONE, attributes="", **headers):
    """Ask as SageMaker hands a request on."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    said = {ATTRIBUTES: attributes} if attributes else {}
    return server.ask("POST", "/invocations", raw, {TYPE: "application/json", **said, **headers})


def predict(server, body=ONE, content_type="application/json", **parameters):
    """Ask as Vertex AI hands a request on: a body and its content type."""
    if not isinstance(body, bytes):
        body = json.dumps({**body, "parameters": parameters} if parameters else body).encode()
    return server.ask("POST", "/predict", body, {TYPE: content_type})


def test_the_only_model_needs_no_name(asked):
    """Nothing but the protocol's request is sent; the answer is the protocol's, and is logged as any other."""
    server, ask = asked
    server.serve(Constant(0.7))
    reply = ask()
    assert (reply.status, reply.json["outputs"][0]["data"]) == (200, [0.7])
    assert [record.request_id for _, record in server.logged] == [reply.json["id"]]


def test_model_and_version_may_be_named(asked):
    """Beside what else is said; a version that is not served is as unknown as by its own path."""
    server, ask = asked
    server.serve(Constant(0.7), candidate=Constant(0.9), percent=0)
    named = [{"model": MODEL}, {"model": MODEL, "version": "1", "event_time": "2026-01-01"}]
    named.append({"model": MODEL, "version": 2})
    assert [ask(**one).json["outputs"][0]["data"] for one in named] == [[0.7], [0.7], [0.9]]
    assert ask(model=MODEL, version="9").status == 404


def test_attributes_may_have_blanks(invoked):
    """And come in any order."""
    invoked.serve(Constant(0.7))
    assert invoke(invoked, attributes=f"trace=1-2; model={MODEL} ;version=1").json["outputs"][0]["data"] == [0.7]


@pytest.mark.parametrize(
    "model",
    [
        *("retail.other", "../../health/ready", "../../health/ready#", "?x=1", "retail.other/versions/1"),
        *(f"{MODEL}/infer#", "%2e", 7),
    ],
)
def test_an_unknown_model_is_not_found(asked, model):
    """No name leads to another path than that of a request."""
    server, ask = asked
    server.serve()
    reply = ask(model=model)
    assert reply.status == 404
    assert reply.error


def test_vertex_s_name_of_a_model_names_no_version(handed):
    """That has a parameter of its own."""
    handed.serve()
    assert predict(handed, model=f"{MODEL}/versions/1").status == 404


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[1]", b'{"inputs": 1}', b"[1, 2]", b"1.0,2.0\n", b"\xff"),
        *(b'{"parameters": 1}', b'{"parameters": {"model": {}}'),
    ],
)
def test_a_bad_request_is_refused_in_the_protocol_s_shape(asked, body):
    """By who reads all of it, with what is wrong; what another container might take, such as CSV, is none."""
    server, ask = asked
    server.serve()
    reply = ask(body)
    assert reply.status == 400
    assert reply.error
    assert server.logged == []


def test_without_a_name_one_of_several_is_not_guessed(invoked):
    """The refusal says how a model is named; also where none is served yet."""
    assert invoke(invoked).status == 400
    invoked.serve()
    invoked.inference.models["retail.other"] = invoked.inference.models[MODEL]
    reply = invoke(invoked, attributes="trace=1")
    assert reply.status == 400
    assert "2 models are served here" in reply.error
    assert "CustomAttributes='model=<team>.<model>'" in reply.error


def test_what_is_too_large_is_413(invoked):
    """By the server's own limit, as on its own path."""
    app = App(invoked.inference, lifespan=None, ready=lambda: True, bounds=Bounds(Limits(body_bytes=1000)))
    invoked.app = Invocations(app, invoked.inference.models)
    invoked.serve()
    reply = invoke(invoked, b" " * 1001)
    assert reply.status == 413
    assert "exceeds 1000 bytes" in reply.error


def test_binary_tensors_begin_where_sagemaker_s_content_type_says(invoked):
    """No other header arrives, and none of the answer's goes back; what is asked packed comes plain."""
    invoked.serve(Constant(0.7))
    amount = {"name": "amount", "shape": [1], "datatype": "FP64", "parameters": {"binary_data_size": 8}}
    wanted = {"name": "probability", "parameters": {"binary_data": True}}
    head = json.dumps({"inputs": [ONE["inputs"][0], amount], "outputs": [wanted]}).encode()
    body = head + b"\x00\x00\x00\x00\x00\x00\x04@"
    kind = f"application/vnd.sagemaker-triton.binary+json;json-header-size={len(head)}"
    reply = invoke(invoked, body, **{TYPE: kind, "Accept-Encoding": "gzip"})
    assert reply.status == 200
    size = int(reply.headers["content-type"].rpartition("json-header-size=")[2])
    assert json.loads(reply.body[:size])["outputs"][0]["parameters"] == {"binary_data_size": 8}
    assert reply.body[size:] == b"ffffff\xe6?"
    assert "content-encoding" not in reply.headers


def test_binary_tensors_begin_where_vertex_s_content_type_says(handed):
    """The model's name is looked for before them alone."""
    handed.serve(Constant(0.7))
    key = {"name": "customer_id", "shape": [1], "datatype": "INT64", "parameters": {"binary_data_size": 8}}
    head = json.dumps({"inputs": [key, ONE["inputs"][1]], "parameters": {"model": MODEL}}).encode()
    content_type = f"application/octet-stream;json-header-size={len(head)}"
    reply = predict(handed, head + (7).to_bytes(8, "little"), content_type)
    assert (reply.status, reply.json["outputs"][0]["data"]) == (200, [0.7])


@pytest.mark.parametrize("size", [b"", b"-1", b"99999999", b"1e3"])
def test_a_wrong_place_for_binary_tensors_is_refused(invoked, size):
    """It is either no number, or beyond the body."""
    invoked.serve()
    kind = f"application/vnd.sagemaker-triton.binary+json;json-header-size={size.decode()}"
    reply = invoke(invoked, b"\x00\x01 not json", **{TYPE: kind})
    assert reply.status == 400
    assert reply.error


def test_ping_is_the_server_s_readiness(invoked):
    """200 once it is ready, 503 until then."""
    assert invoked.ask("GET", "/ping").status == 200
    waiting = App(invoked.inference, lifespan=None, ready=lambda: False)
    invoked.app = Invocations(waiting, invoked.inference.models)
    assert invoked.ask("GET", "/ping").status == 503


def test_all_other_paths_are_as_they_are(asked):
    """Also under the wrong method, and a path that only begins alike."""
    server, _ = asked
    server.serve()
    assert server.post(ONE).status == 200
    assert server.ask("GET", "/v2/health/live").status == 200
    for method, path in (("GET", "/invocations"), ("POST", "/invocations/more"), ("GET", "/predict")):
        assert server.ask(method, path).status == 404
