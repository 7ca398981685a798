"""Triton's own clients speak with the server, over HTTP and gRPC, in every way that the V2 protocol has."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as over_grpc
import tritonclient.grpc.aio as over_grpc_aio
import tritonclient.http as over_http
import tritonclient.http.aio as over_http_aio
from tritonclient.grpc import model_config_pb2, service_pb2
from tritonclient.utils import InferenceServerException, triton_to_np_dtype

from loopline.platform_core.runtime.grpc import messages
from loopline.resources.local.serving import LocalServing

MODEL = "retail.cancellations"
HTTP, GRPC = "http", "grpc"
OF, AIO = {HTTP: over_http, GRPC: over_grpc}, {HTTP: over_http_aio, GRPC: over_grpc_aio}
WAYS = {HTTP: [{"binary_data": True}, {"binary_data": False}], GRPC: [{}]}
"""How tensors travel: over HTTP as bytes or as JSON."""
KEYS = (b"a", "é".encode())


@pytest.fixture(scope="module", params=[HTTP, GRPC])
def kind(request) -> str:
    """Choose a client."""
    return request.param


@pytest.fixture(scope="module")
def address(running, kind) -> str:
    """Say where a server with one model listens, whose probability is the amount."""
    return f"127.0.0.1:{running.port if kind == HTTP else running.grpc_port}"


@pytest.fixture(scope="module")
def client(address, kind) -> Iterator[Any]:
    """Connect to it."""
    connected = OF[kind].InferenceServerClient(address, **({"concurrency": 4} if kind == HTTP else {}))
    yield connected
    connected.close()


def inputs(kind, values=(0.25, 0.75), keys=KEYS, datatype="FP64", shape=None, **way):
    """Make a request's tensors."""
    shape = shape or [len(values)]
    tensors = [OF[kind].InferInput("customer_id", [len(keys)], "BYTES"), OF[kind].InferInput("amount", shape, datatype)]
    tensors[0].set_data_from_numpy(np.array(keys, dtype=object), **way)
    tensors[1].set_data_from_numpy(np.array(values, dtype=triton_to_np_dtype(datatype)).reshape(shape), **way)
    return tensors


def probabilities(kind, client, *given, **more):
    """Ask, and return the probabilities."""
    return client.infer(MODEL, inputs(kind, *given), **more).as_numpy("probability").tolist()


def told(kind, ask, *given):
    """Return an answer as JSON."""
    return ask(*given, **({"as_json": True} if kind == GRPC else {}))


def test_health(client, kind):
    """Server and model are live and ready; a model or version that nobody serves is not."""
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(MODEL)
    assert client.is_model_ready(MODEL, "1")
    for named in (("nobody",), (MODEL, "2")):
        if kind == HTTP:
            assert not client.is_model_ready(*named)
            continue
        with pytest.raises(InferenceServerException) as raised:
            client.is_model_ready(*named)
        assert raised.value.status() == "StatusCode.NOT_FOUND"


def test_metadata(client, kind):
    """Server and model describe themselves alike."""
    server = told(kind, client.get_server_metadata)
    assert (server["name"], server["extensions"][0]) == ("loopline", "binary_tensor_data")
    for named in ((MODEL,), (MODEL, "1")):
        said = told(kind, client.get_model_metadata, *named)
        assert (said["name"], said["versions"], said["platform"]) == (MODEL, ["1"], "loopline_pickle")
        assert [(tensor["name"], tensor["datatype"], [*map(int, tensor["shape"])]) for tensor in said["inputs"]] == [
            ("customer_id", "BYTES", [-1]),
            ("amount", "FP64", [-1]),
        ]
        assert kind == GRPC or said["parameters"]["stable_cycle"] == "c-1"


def test_inference(client, kind):
    """The client's default asks for bytes back; version, cycle and role come as parameters."""
    for way in WAYS[kind]:
        answer = client.infer(MODEL, inputs(kind, **way), request_id="r1")
        probability, label = answer.as_numpy("probability"), answer.as_numpy("label")
        assert (probability.tolist(), probability.dtype) == ([0.25, 0.75], np.float64)
        assert (label.tolist(), label.dtype) == ([0, 1], np.int64)
        response = told(kind, answer.get_response)
        assert (response["id"], response["model_version"]) == ("r1", "1")
        said = {
            name: value["string_param"] if kind == GRPC else value for name, value in response["parameters"].items()
        }
        assert said == {"version": "1", "cycle": "c-1", "role": "stable"}


@pytest.mark.parametrize("datatype", ["FP64", "FP32", "FP16", "INT64", "BOOL"])
def test_datatypes(client, kind, datatype):
    """Numbers of every kind, as columns of shape [n] or [n, 1]."""
    for shape in ([2], [2, 1]):
        assert probabilities(kind, client, (0, 1), (b"a", b"b"), datatype, shape) == [0.0, 1.0]


def test_requested_outputs(client, kind):
    """Each comes as it was asked for, and only those."""
    for way in WAYS[kind]:
        answer = client.infer(MODEL, inputs(kind), outputs=[OF[kind].InferRequestedOutput("label", **way)])
        assert answer.as_numpy("probability") is None
        assert answer.as_numpy("label").tolist() == [0, 1]


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_packed_requests_and_answers(client, kind, coding):
    """Both directions; gRPC packs by itself."""
    names = ["request_compression_algorithm", "response_compression_algorithm"]
    more = dict.fromkeys(names if kind == HTTP else ["compression_algorithm"], coding)
    assert probabilities(kind, client, **more) == [0.25, 0.75]


def test_versions_parameters_headers_and_timeouts(client, kind):
    """What nobody knows is let through, as the protocol wants it; event_time is read."""
    more = {"parameters": {"event_time": "2011-03-01T12:00:00Z", "tenant": "a", "n": 3}, "headers": {"x-tenant": "a"}}
    sequence = {"query_params": {"a": "b"}, "sequence_id": 3, "sequence_start": True}
    more |= sequence if kind == HTTP else {"client_timeout": 5}
    assert probabilities(kind, client, model_version="1", priority=1, timeout=1000, **more) == [0.25, 0.75]


def test_asynchronous_requests(client, kind, address):
    """In threads or by callback, and by the client for asyncio."""

    def begin(tensors):
        if kind == HTTP:
            return client.async_infer(MODEL, tensors).get_result
        answers = queue.Queue()
        client.async_infer(MODEL, tensors, lambda result, error: answers.put(error or result))
        return lambda: answers.get(timeout=10)

    asked = [begin(inputs(kind, (n / 10, 0.5))) for n in range(5)]
    assert [answer().as_numpy("probability")[0] for answer in asked] == [0.0, 0.1, 0.2, 0.3, 0.4]

    async def many():
        async with AIO[kind].InferenceServerClient(address) as connected:
            asked = [connected.infer(MODEL, inputs(kind, (n / 10, 0.5))) for n in range(5)]
            return [answer.as_numpy("probability")[0] for answer in await asyncio.gather(*asked)]

    assert asyncio.run(many()) == [0.0, 0.1, 0.2, 0.3, 0.4]


NOT_FOUND, INVALID = {HTTP: "404", GRPC: "StatusCode.NOT_FOUND"}, {HTTP: "400", GRPC: "StatusCode.INVALID_ARGUMENT"}


@pytest.mark.parametrize(
    ("call", "status", "words"),
    [
        (lambda kind, c: c.infer("nobody", inputs(kind)), NOT_FOUND, "no model 'nobody'"),
        (lambda kind, c: c.infer(MODEL, inputs(kind), model_version="9"), NOT_FOUND, "version '9' is not live"),
        (lambda _, c: c.get_model_metadata("nobody"), NOT_FOUND, "no model 'nobody'"),
        (lambda kind, c: c.infer(MODEL, inputs(kind)[:1]), INVALID, "amount"),
        (lambda kind, c: probabilities(kind, c, (0.5, 0.5, 0.5)), INVALID, "tensors differ in rows"),
        (lambda kind, c: probabilities(kind, c, (0.5,), (b"\xff",)), INVALID, "utf-8"),
        (lambda kind, c: probabilities(kind, c, parameters={"event_time": 3}), INVALID, "event_time"),
        (
            lambda kind, c: c.infer(MODEL, inputs(kind), outputs=[OF[kind].InferRequestedOutput("x")]),
            INVALID,
            "no output 'x'",
        ),
    ],
)
def test_errors_have_codes_and_words(client, kind, call, status, words):
    """The codes are the protocol's, the words the server's own."""
    with pytest.raises(InferenceServerException, match=words) as raised:
        call(kind, client)
    assert raised.value.status() == status[kind]


def test_both_ports_write_one_log(client, kind, running):
    """What was answered over either is in the prediction log."""
    client.infer(MODEL, inputs(kind), request_id=f"by-{kind}")
    serving = LocalServing(root=f"{running.folder}/serving", port=running.port)
    rows = serving.predictions(MODEL)[0].to_pylist()
    assert [row["score"] for row in rows if row["request_id"] == f"by-{kind}"] == [0.25, 0.75]


TRITONS_OWN = {"ModelConfig", "ModelInput", "ModelOutput", "ModelParameter", "ModelDynamicBatching", "ModelStatistics"}
PARTLY = TRITONS_OWN | {"InferStatistics"}
"""Of these we tell some fields only."""


def _field(field):
    kind = field.message_type and field.message_type.full_name.lower()
    return field.name, field.number, field.type, field.is_repeated, kind


@pytest.mark.parametrize("name", sorted(messages._MESSAGES))
def test_messages_are_those_of_the_protocol(name):
    """Names, numbers and types of all fields are those that tritonclient was generated from."""
    theirs = service_pb2 if hasattr(service_pb2, name.partition(".")[0]) else model_config_pb2
    for part in name.split("."):
        theirs = getattr(theirs, part)
    ours = messages.message(name).DESCRIPTOR
    wanted = [_field(field) for field in theirs.DESCRIPTOR.fields]
    if name in PARTLY:
        assert {_field(field) for field in ours.fields} <= set(wanted)
        return
    assert [_field(field) for field in ours.fields] == wanted
    assert list(ours.oneofs_by_name) == list(theirs.DESCRIPTOR.oneofs_by_name)


def test_the_kinds_of_data_and_the_calls_are_triton_s():
    """An enum's values go by their numbers; reflection tells each call with the messages that it has."""
    ours = messages.INFERENCE.pool.FindEnumTypeByName("inference.DataType")
    theirs = model_config_pb2.DataType.DESCRIPTOR
    assert {value.name: value.number for value in ours.values} == {v.name: v.number for v in theirs.values}
    there = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods_by_name
    for method in messages.INFERENCE.pool.FindServiceByName(messages.SERVICE).methods:
        their = there[method.name]
        types = method.input_type.full_name, method.output_type.full_name
        assert types == (their.input_type.full_name, their.output_type.full_name)
