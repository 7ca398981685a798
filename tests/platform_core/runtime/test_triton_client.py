"""Triton's own HTTP client speaks with the server, in every way it has."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import InferenceServerException, triton_to_np_dtype

MODEL = "retail.cancellations"


@pytest.fixture(scope="module")
def client(running) -> Iterator[triton.InferenceServerClient]:
    """Connect to a server with one model, whose probability is the amount."""
    connected = triton.InferenceServerClient(f"127.0.0.1:{running.port}", concurrency=4)
    yield connected
    connected.close()


def inputs(values=(0.25, 0.75), datatype="FP64", shape=None, binary=True):
    """Make a request's tensors."""
    keys, amounts = (
        triton.InferInput("customer_id", [2], "BYTES"),
        triton.InferInput("amount", shape or [len(values)], datatype),
    )
    keys.set_data_from_numpy(np.array([b"a", "é".encode()], dtype=object), binary_data=binary)
    array = np.array(values, dtype=triton_to_np_dtype(datatype)).reshape(shape or [len(values)])
    amounts.set_data_from_numpy(array, binary_data=binary)
    return [keys, amounts]


def infer(client, values=(0.25, 0.75), binary=True, outputs=None, **more):
    """Ask for two customers and return probabilities and labels."""
    answer = client.infer(MODEL, inputs(values, binary=binary), outputs=outputs, **more)
    return answer, answer.as_numpy("probability"), answer.as_numpy("label")


def test_health(client):
    """Server and model are live and ready, an unknown model is not."""
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(MODEL)
    assert client.is_model_ready(MODEL, "1")
    assert not client.is_model_ready("nobody")
    assert not client.is_model_ready(MODEL, "2")


def test_metadata(client):
    """The client can read what the server and the model say of themselves."""
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    assert client.get_model_metadata(MODEL)["parameters"]["stable_cycle"] == "c-1"
    assert client.get_model_metadata(MODEL, "1")["versions"] == ["1"]


@pytest.mark.parametrize("binary", [True, False])
def test_inference(client, binary):
    """Tensors as bytes or as JSON; the client's default asks for bytes back."""
    answer, probability, label = infer(client, binary=binary, request_id="r1")
    assert (probability.tolist(), probability.dtype) == ([0.25, 0.75], np.float64)
    assert (label.tolist(), label.dtype) == ([0, 1], np.int64)
    assert answer.get_response()["id"] == "r1"
    assert answer.get_response()["parameters"] == {"version": "1", "cycle": "c-1", "role": "stable"}


@pytest.mark.parametrize("binary", [True, False])
def test_requested_outputs(client, binary):
    """Each output comes as it was asked for, and only those."""
    _, probability, label = infer(client, outputs=[triton.InferRequestedOutput("label", binary_data=binary)])
    assert probability is None
    assert label.tolist() == [0, 1]


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_packed_requests_and_answers(client, coding):
    """Both directions."""
    more = {"request_compression_algorithm": coding, "response_compression_algorithm": coding}
    assert infer(client, **more)[1].tolist() == [0.25, 0.75]


def test_versions_and_parameters(client):
    """A version may be named; parameters that nobody knows are let through, as the protocol wants it."""
    parameters = {"event_time": "2011-03-01T12:00:00Z", "tenant": "a", "n": 3}
    assert infer(client, model_version="1", parameters=parameters, priority=1, timeout=1000)[1].tolist() == [0.25, 0.75]


def test_asynchronous_requests(client, running):
    """In the client's threads, and by the client for asyncio."""
    asked = [client.async_infer(MODEL, inputs((n / 10, 0.5))) for n in range(5)]
    assert [one.get_result().as_numpy("probability")[0] for one in asked] == [0.0, 0.1, 0.2, 0.3, 0.4]

    async def many():
        async with triton_aio.InferenceServerClient(f"127.0.0.1:{running.port}") as connected:
            answers = await asyncio.gather(*(connected.infer(MODEL, inputs((n / 10, 0.5))) for n in range(5)))
            return [answer.as_numpy("probability")[0] for answer in answers]

    assert asyncio.run(many()) == [0.0, 0.1, 0.2, 0.3, 0.4]


def test_headers_query_parameters_and_sequences(client):
    """What nobody needs is let through."""
    more = {"headers": {"x-tenant": "a"}, "query_params": {"a": "b"}, "sequence_id": 3, "sequence_start": True}
    assert infer(client, **more)[1].tolist() == [0.25, 0.75]


DATATYPES = ["FP32", "INT8", "INT64", "UINT16", "UINT64", "BOOL"]


@pytest.mark.parametrize(("datatype", "binary"), [("FP16", True), *((t, b) for t in DATATYPES for b in (True, False))])
@pytest.mark.parametrize("shape", [[2], [2, 1]])
def test_datatypes(client, datatype, shape, binary):
    """Numbers of every kind, packed or not; the client itself sends FP16 packed only."""
    tensors = inputs((0, 1), datatype=datatype, shape=shape, binary=binary)
    assert client.infer(MODEL, tensors).as_numpy("probability").tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda client: infer(client, model_version="9"), "version '9' is not live"),
        (lambda client: infer(client, parameters={"event_time": "noon"}), "event_time"),
        (lambda client: infer(client, values=(0.5, 0.5, 0.5)), "tensors differ in rows"),
        (lambda client: client.get_model_metadata("nobody"), "no model 'nobody'"),
        (lambda client: infer(client, outputs=[triton.InferRequestedOutput("x")]), "no output 'x'"),
    ],
)
def test_errors_reach_the_caller(client, call, words):
    """The client shows the server's own words."""
    with pytest.raises(InferenceServerException, match=words):
        call(client)
