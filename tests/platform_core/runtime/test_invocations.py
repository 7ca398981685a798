"""SageMaker's two paths before the application: what they lead to, and what is refused in the protocol's own shape."""

from __future__ import annotations

import json

import pytest

from loopline.platform_core.runtime.app import App
from loopline.platform_core.runtime.invocations import Invocations
from loopline.platform_core.runtime.settings.limits import Limits
from loopline.platform_core.runtime.wire.bounds import Bounds
from loopline.platform_core.testing.model_packages import Constant

MODEL = "retail.cancellations"
ATTRIBUTES, TYPE = "X-Amzn-SageMaker-Custom-Attributes", "Content-Type"
ONE = {
    "inputs": [
        {"name": "customer_id", "shape": [1], "datatype": "INT64", "data": [7]},
        {"name": "amount", "shape": [1], "datatype": "FP64", "data": [2.5]},
    ]
}


@pytest.fixture
def invoked(server):
    """Give a server that answers to SageMaker's paths."""
    server.app = Invocations(server.app, server.inference.models)
    return server


def invoke(server, body=ONE, attributes="", **headers):
    """Ask as the service hands a request on."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    said = {ATTRIBUTES: attributes} if attributes else {}
    return server.ask("POST", "/invocations", raw, {TYPE: "application/json", **said, **headers})


def test_the_only_model_needs_no_name(invoked):
    """Nothing but the protocol's request is sent; the answer is the protocol's, and is logged as any other."""
    invoked.serve(Constant(0.7))
    reply = invoke(invoked)
    assert (reply.status, reply.json["outputs"][0]["data"]) == (200, [0.7])
    assert [record.request_id for _, record in invoked.logged] == [reply.json["id"]]


def test_custom_attributes_name_model_and_version(invoked):
    """Whatever else stands in them is not ours; a version that is not served is as unknown as by its own path."""
    invoked.serve(Constant(0.7), candidate=Constant(0.9), percent=0)
    asked = [f"model={MODEL}", f"trace=1-2; model={MODEL} ;version=1", f"model={MODEL};version=2"]
    assert [invoke(invoked, attributes=one).json["outputs"][0]["data"] for one in asked] == [[0.7], [0.7], [0.9]]
    assert invoke(invoked, attributes=f"model={MODEL};version=9").status == 404


@pytest.mark.parametrize(
    "attributes", ["model=retail.other", "model=../../health/ready#", "model=?x=1", "model=retail.other/versions/1"]
)
def test_an_unknown_model_is_not_found(invoked, attributes):
    """No name leads to another path than that of a request."""
    invoked.serve()
    reply = invoke(invoked, attributes=attributes)
    assert reply.status == 404
    assert reply.error


def test_without_a_name_one_of_several_is_not_guessed(invoked):
    """The refusal says how a model is named; also where none is served yet."""
    assert invoke(invoked).status == 400
    invoked.serve()
    invoked.inference.models["retail.other"] = invoked.inference.models[MODEL]
    reply = invoke(invoked, attributes="trace=1")
    assert reply.status == 400
    assert "2 models are served here" in reply.error
    assert "CustomAttributes='model=<team>.<model>'" in reply.error


@pytest.mark.parametrize("body", [b"", b"{", b'{"inputs": 1}', b"[1, 2]", b"1.0,2.0\n"])
def test_a_bad_request_is_refused_in_the_protocol_s_shape(invoked, body):
    """What another container might take, such as CSV, is none."""
    invoked.serve()
    reply = invoke(invoked, body)
    assert reply.status == 400
    assert reply.error
    assert invoked.logged == []


def test_what_is_too_large_is_413(invoked):
    """By the server's own limit, as on its own path."""
    limits = Limits(body_bytes=1000)
    app = App(invoked.inference, lifespan=None, ready=lambda: True, bounds=Bounds(limits))
    invoked.app = Invocations(app, invoked.inference.models)
    invoked.serve()
    reply = invoke(invoked, b" " * 1001)
    assert reply.status == 413
    assert "exceeds 1000 bytes" in reply.error


def test_binary_tensors_begin_where_the_content_type_says(invoked):
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


def test_all_other_paths_are_as_they_are(invoked):
    """Also the wrong method, and a path that only begins alike."""
    invoked.serve()
    assert invoked.post(ONE).status == 200
    assert invoked.ask("GET", "/invocations").status == 404
    assert invoked.ask("POST", "/invocations/more").status == 404
