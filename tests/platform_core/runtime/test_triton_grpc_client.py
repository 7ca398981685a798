"""Triton's own gRPC client speaks with the server, in every way that the V2 protocol has."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Iterator

import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.grpc import model_config_pb2, service_pb2
from tritonclient.utils import InferenceServerException

from loopline.platform_core.runtime.grpc import messages
from loopline.resources.local.serving import LocalServing

MODEL = "retail.cancellations"


@pytest.fixture(scope="module")
def client(running) -> Iterator[triton.InferenceServerClient]:
    """Connect to a server with one model, whose probability is the amount."""
    connected = triton.InferenceServerClient(f"127.0.0.1:{running.grpc_port}")
    yield connected
    connected.close()


KEYS = (b"a", "é".encode())


def inputs(values=(0.25, 0.75), keys=KEYS, datatype="FP64", shape=None):
    """Make a request's tensors."""
    tensors = [triton.InferInput("customer_id", [len(keys)], "BYTES"), triton.InferInput("amount", [1], datatype)]
    tensors[0].set_data_from_numpy(np.array(keys, dtype=object))
    array = np.array(values, dtype={"FP64": "f8", "FP32": "f4", "FP16": "f2", "INT64": "i8", "BOOL": "?"}[datatype])
    tensors[1].set_shape(shape or [len(values)])
    tensors[1].set_data_from_numpy(array.reshape(shape or [len(values)]))
    return tensors


def probabilities(client, *given, **more):
    """Ask, and return the probabilities."""
    return client.infer(MODEL, inputs(*given), **more).as_numpy("probability").tolist()


TRITONS_OWN = {"ModelConfig", "ModelInput", "ModelOutput", "ModelParameter", "ModelDynamicBatching", "ModelStatistics"}
PARTLY = TRITONS_OWN | {"InferStatistics"}
"""Of these we tell some fields only."""


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


def test_the_kinds_of_data_are_triton_s():
    """An enum's values go by their numbers."""
    ours = messages.INFERENCE.pool.FindEnumTypeByName("inference.DataType")
    theirs = model_config_pb2.DataType.DESCRIPTOR
    assert {value.name: value.number for value in ours.values} == {v.name: v.number for v in theirs.values}


def test_the_service_s_calls_are_triton_s():
    """Reflection tells each with the messages that it has."""
    ours = messages.INFERENCE.pool.FindServiceByName(messages.SERVICE)
    theirs = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]
    for method in ours.methods:
        there = theirs.methods_by_name[method.name]
        assert (method.input_type.full_name, method.output_type.full_name) == (
            there.input_type.full_name,
            there.output_type.full_name,
        )


def _field(field):
    kind = field.message_type and field.message_type.full_name.lower()
    return field.name, field.number, field.type, field.is_repeated, kind


def test_health(client):
    """Server and model are live and ready; a model or version that nobody serves is not found."""
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(MODEL)
    assert client.is_model_ready(MODEL, "1")
    for named in (("nobody",), (MODEL, "2")):
        with pytest.raises(InferenceServerException) as raised:
            client.is_model_ready(*named)
        assert raised.value.status() == "StatusCode.NOT_FOUND"


def test_metadata(client):
    """Server and model describe themselves as over REST."""
    assert client.get_server_metadata().name == "loopline"
    said = client.get_model_metadata(MODEL, "1")
    assert (said.name, list(said.versions), said.platform) == (MODEL, ["1"], "loopline_pickle")
    assert [(tensor.name, tensor.datatype, list(tensor.shape)) for tensor in said.inputs] == [
        ("customer_id", "BYTES", [-1]),
        ("amount", "FP64", [-1]),
    ]
    assert client.get_server_metadata(as_json=True)["extensions"][0] == "binary_tensor_data"


def test_inference(client):
    """Both outputs come back raw, with version, cycle and role as parameters."""
    answer = client.infer(MODEL, inputs(), request_id="r1")
    assert answer.as_numpy("probability").tolist() == [0.25, 0.75]
    assert answer.as_numpy("label").tolist() == [0, 1]
    response = answer.get_response()
    assert (response.id, response.model_version) == ("r1", "1")
    assert {name: value.string_param for name, value in response.parameters.items()} == {
        "version": "1",
        "cycle": "c-1",
        "role": "stable",
    }


@pytest.mark.parametrize("datatype", ["FP64", "FP32", "FP16", "INT64", "BOOL"])
def test_datatypes(client, datatype):
    """Numbers of every kind, as columns of shape [n] or [n, 1]."""
    for shape in ([2], [2, 1]):
        assert probabilities(client, (0, 1), (b"a", b"b"), datatype, shape) == [0.0, 1.0]


def test_requested_outputs(client):
    """Only what was asked for comes back."""
    answer = client.infer(MODEL, inputs(), outputs=[triton.InferRequestedOutput("label")])
    assert [output.name for output in answer.get_response().outputs] == ["label"]


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_packed_requests(client, coding):
    """GRPC packs by itself."""
    assert probabilities(client, compression_algorithm=coding) == [0.25, 0.75]


def test_versions_parameters_headers_and_timeouts(client):
    """Parameters and headers that nobody knows are let through; event_time is read."""
    more = {"parameters": {"event_time": "2011-03-01T12:00:00Z", "tenant": "a", "n": 3}, "headers": {"x-tenant": "a"}}
    assert probabilities(client, model_version="1", priority=1, timeout=1000, client_timeout=5, **more) == [0.25, 0.75]


def test_asynchronous_requests(client, running):
    """By callback, and by the client for asyncio."""
    answers = queue.Queue()
    client.async_infer(MODEL, inputs(), lambda result, error: answers.put((result, error)))
    result, error = answers.get(timeout=10)
    assert error is None
    assert result.as_numpy("probability").tolist() == [0.25, 0.75]

    async def many():
        async with triton_aio.InferenceServerClient(f"127.0.0.1:{running.grpc_port}") as connected:
            asked = [connected.infer(MODEL, inputs((n / 10, 0.5))) for n in range(5)]
            return [answer.as_numpy("probability")[0] for answer in await asyncio.gather(*asked)]

    assert asyncio.run(many()) == [0.0, 0.1, 0.2, 0.3, 0.4]


@pytest.mark.parametrize(
    ("call", "status", "words"),
    [
        (lambda client: client.infer("nobody", inputs()), "NOT_FOUND", "no model 'nobody'"),
        (lambda client: client.infer(MODEL, inputs(), model_version="9"), "NOT_FOUND", "version '9' is not live"),
        (lambda client: client.infer(MODEL, inputs()[:1]), "INVALID_ARGUMENT", "amount"),
        (lambda client: probabilities(client, (0.5, 0.5, 0.5)), "INVALID_ARGUMENT", "tensors differ in rows"),
        (lambda client: probabilities(client, (0.5,), (b"\xff",)), "INVALID_ARGUMENT", "utf-8"),
        (
            lambda client: probabilities(client, parameters={"event_time": 3}),
            "INVALID_ARGUMENT",
            "event_time",
        ),
        (
            lambda client: client.infer(MODEL, inputs(), outputs=[triton.InferRequestedOutput("x")]),
            "INVALID_ARGUMENT",
            "no output 'x'",
        ),
        (lambda client: client.get_model_metadata("nobody"), "NOT_FOUND", "no model 'nobody'"),
    ],
)
def test_errors_have_codes_and_words(client, call, status, words):
    """The codes are gRPC's, the words those of REST."""
    with pytest.raises(InferenceServerException, match=words) as raised:
        call(client)
    assert raised.value.status() == f"StatusCode.{status}"


def test_both_ports_write_one_log(client, running):
    """What was answered over gRPC is in the prediction log like everything else."""
    client.infer(MODEL, inputs(), request_id="by-grpc")
    serving = LocalServing(root=f"{running.folder}/serving", port=running.port)
    rows = serving.predictions(MODEL)[0].to_pylist()
    assert [row["score"] for row in rows if row["request_id"] == "by-grpc"] == [0.25, 0.75]
