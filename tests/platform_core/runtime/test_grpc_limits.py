"""gRPC as a process: limits, workers that share the port, and a port that is somebody else's."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import grpc
import numpy as np
import pytest

from loopline.platform_core.runtime.grpc.messages import message
from loopline.platform_core.testing.parts.model_packages import Column, Slow
from loopline.resources.local.serving import LocalServing
from tests.platform_core.runtime.conftest import environment_of

LIMITS = ", limits: {requests: 4, rows: 5000, body_bytes: 200000, receive_seconds: 1.0}"
INFER = "/inference.GRPCInferenceService/ModelInfer"


def request(model, rows=1, request_id=""):
    """Write a request."""
    asked = message("ModelInferRequest")(model_name=model, id=request_id)
    asked.inputs.add(name="customer_id", datatype="INT64", shape=[rows])
    asked.inputs.add(name="amount", datatype="FP64", shape=[rows])
    asked.raw_input_contents.extend([np.arange(rows, dtype="<i8").tobytes(), np.full(rows, 0.5).tobytes()])
    return asked.SerializeToString()


def ask(port, sent, path=INFER):
    """Ask on a connection of its own; gives the code, None when all is well."""
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        try:
            channel.unary_unary(path)(sent, timeout=20)
        except grpc.RpcError as error:
            return error.code()
        return None


@pytest.fixture(scope="module")
def server(start, tmp_path_factory):
    """Run a server with narrow limits, a fast model and one that needs a twentieth of a second."""
    models = {"fast": Column(0), "slow": Slow(0.0, call=0.05)}
    with start(tmp_path_factory.mktemp("grpc"), models, LIMITS) as running:
        yield running


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (request("fast", 5000), None),
        (request("fast", 5001), grpc.StatusCode.RESOURCE_EXHAUSTED),
        (request("fast", 20_000), grpc.StatusCode.RESOURCE_EXHAUSTED),
        (request("nobody"), grpc.StatusCode.NOT_FOUND),
        (b"no message", grpc.StatusCode.INVALID_ARGUMENT),
    ],
    ids=["most rows", "too many rows", "too many bytes", "nobody", "no message"],
)
def test_one_request(server, sent, code):
    """As over REST, by gRPC's codes."""
    assert ask(server.grpc_port, sent) is code


def test_a_method_that_there_is_not(server):
    """Says so."""
    assert ask(server.grpc_port, b"", "/inference.GRPCInferenceService/Nothing") is grpc.StatusCode.UNIMPLEMENTED


def test_more_requests_than_are_taken_on(server):
    """Those beyond are refused at once, the others answered."""
    codes = []
    callers = [threading.Thread(target=lambda: codes.append(ask(server.grpc_port, request("slow")))) for _ in range(24)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert set(codes) == {None, grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert codes.count(None) >= 4


def test_a_call_that_is_given_up(server):
    """Its time ends at the caller; the server goes on answering others."""
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        with pytest.raises(grpc.RpcError) as raised:
            channel.unary_unary(INFER)(request("slow"), timeout=0.02)
        assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    time.sleep(0.1)  # until the model has answered whom nobody hears
    assert ask(server.grpc_port, request("slow")) is None


def test_connections_that_say_nothing(server):
    """A hundred of them hold up nobody, and are ended like those over HTTP."""
    with contextlib.ExitStack() as opened:
        silent = [
            opened.enter_context(socket.create_connection(("127.0.0.1", server.grpc_port), timeout=5))
            for _ in range(100)
        ]
        assert ask(server.grpc_port, request("fast")) is None
        while silent[0].recv(65536):
            pass


def test_workers_share_the_port(start, tmp_path):
    """Both answer as soon as both have started, and each request is in the log once."""
    asked, until = [], time.monotonic() + 300
    with start(tmp_path, {"fast": Column(0)}, workers=2) as running:
        while len(list((tmp_path / "serving/log/fast").glob("*.frames"))) < 2 and time.monotonic() < until:
            asked.append(f"r{len(asked)}")
            assert ask(running.grpc_port, request("fast", request_id=asked[-1])) is None
        logs = list((tmp_path / "serving/log/fast").glob("*.frames"))
        serving = LocalServing(root=f"{tmp_path}/serving", port=running.port)
        assert sorted(serving.predictions("fast")[0]["request_id"].to_pylist()) == sorted(asked)
    assert len(logs) == 2


def test_a_port_that_is_somebody_else_s(tmp_path, refused_start):
    """Is told before any worker starts: by itself gRPC would share it with him."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert f"127.0.0.1:{port}" in refused_start(environment_of(tmp_path, 18080, port))
