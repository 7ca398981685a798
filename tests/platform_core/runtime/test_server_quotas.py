"""Requests a second and bytes of logs, as a server is held to them: refused with words, and nothing is half done."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections import Counter

import grpc
import numpy as np
import pytest

from loopline.gateway.quota import Rate, answered_today
from loopline.platform_core.contracts.serving import DesiredState, Served
from loopline.platform_core.errors import BadRequest, QuotaReached
from loopline.platform_core.runtime.grpc.messages import message
from loopline.platform_core.runtime.prediction_log import log
from loopline.platform_core.runtime.prediction_log.log import PredictionLog, Record
from loopline.platform_core.runtime.prediction_log.log_room import LogRoom
from loopline.platform_core.runtime.states import write_desired
from loopline.platform_core.testing.parts.inference_server import inference_server
from loopline.platform_core.testing.parts.model_packages import Column, write_package
from loopline.platform_core.testing.parts.ports import free_port
from tests.platform_core.runtime.conftest import MODEL, Constant

BODY = {
    "inputs": [
        {"name": "customer_id", "shape": [1], "datatype": "INT64", "data": [7]},
        {"name": "amount", "shape": [1], "datatype": "FP64", "data": [0.5]},
    ]
}
SAID = "this server answers 2 requests a second, and was asked for more"


def a_record(name="r"):
    """Write a record of one row."""
    return Record(name, 0, 0, "1", "c-1", "stable", 200, 1.0, [0.5], ["7"], ["{}"], [[]])


def wire(name):
    """Write a request as it comes over a connection."""
    body = json.dumps({"id": name, "inputs": BODY["inputs"]}).encode()
    head = f"POST /v2/models/{MODEL}/infer HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


@pytest.fixture
def clock():
    """Give a clock that is set."""
    return [1e9]


@pytest.mark.usefixtures("untimed")
def test_one_too_many_is_refused_on_every_way(server, tmp_path, clock):
    """By the fast path and by ASGI alike; the next second answers, and what was refused is not in the log."""
    server.serve(Constant(0.1), requested=["amount"])
    refused = Counter()
    server.inference.admit = Rate(tmp_path, 2, refused, lambda: clock[0])
    first = server.crowd([wire(f"a{number}") for number in range(4)])
    assert server.taken == 4, "all by the fast path"
    assert [b" 200 " in sent[:20] for sent in first] == [True, True, False, False]
    assert first[2].startswith(b"HTTP/1.1 429 ")
    assert b"retry-after: 1\r\n" in first[2]
    assert SAID.encode() in first[2]
    reply = server.infer({"customer_id": [7], "amount": [0.5]})
    assert (reply.status, reply.headers["retry-after"]) == (429, "1")
    assert reply.error.endswith("whoever runs the environment raises quotas.requests_per_second")
    clock[0] += 0.5
    assert server.infer({"customer_id": [7], "amount": [0.5]}, id="later").status == 200
    assert [record.request_id for _, record in server.logged] == ["a0", "a1", "later"]
    assert (refused["quota"], answered_today(tmp_path, lambda: clock[0])) == (3, 3)


def test_workers_count_together(tmp_path, clock):
    """Two of one folder have one rate; a caller's own limit is beside it."""
    one, two = (Rate(tmp_path, 5, Counter(), lambda: clock[0]) for _ in range(2))
    for rate in (one, two, one, two, one):
        rate()
    with pytest.raises(BadRequest) as refused:
        two()
    assert (refused.value.status, refused.value.delay_seconds) == (429, pytest.approx(0.2))
    assert answered_today(tmp_path / "nowhere") is None


def test_a_full_log_takes_whole_records_or_none(tmp_path):
    """What does not fit is written by nobody, also of several at once; what goes makes room at the next look."""
    refused = Counter()
    room = LogRoom(tmp_path / "log", 1_000, refused)
    kept = PredictionLog(tmp_path, "one", room=room)
    with contextlib.suppress(QuotaReached):
        for number in range(1000):
            kept.write("m", a_record(f"r{number}"))
    before = sum(1 for _ in log.read(next((tmp_path / "log" / "m").iterdir()), most=1))
    with pytest.raises(QuotaReached) as full:
        kept.write_many("m", [a_record(f"s{number}") for number in range(5)])
    assert "nothing is answered that is not logged" in full.value.problem
    assert "of 1 kB lie there" in full.value.problem
    assert "whoever runs the environment raises quotas.log_bytes" in full.value.fix
    file = next((tmp_path / "log" / "m").iterdir())
    assert 5 < before == sum(1 for _ in log.read(file, most=1))
    assert file.stat().st_size == room.used <= 1_000
    assert refused["log_quota"] == 2

    other = PredictionLog(tmp_path, "two", room=LogRoom(tmp_path / "log", 1_000, refused))
    with pytest.raises(QuotaReached):
        other.write_many("m", [a_record("t")] * 3)
    file.unlink()
    room.look()
    assert room.used == 0
    kept.close()
    other.close()


@pytest.mark.usefixtures("untimed")
def test_a_full_log_answers_nobody(server, tmp_path):
    """The turn's requests of that model are told 503; raised, the server goes on, and each answer has its record."""
    server.serve(Constant(0.1), requested=["amount"])
    kept = PredictionLog(tmp_path, "one", room=LogRoom(tmp_path / "log", 0, Counter()))
    server.log_many = kept.write_many
    answers = server.crowd([wire("a"), wire("b")])
    assert all(sent.startswith(b"HTTP/1.1 503 ") and b"retry-after: 30\r\n" in sent for sent in answers)
    assert b"nothing is answered that is not logged" in answers[0]
    kept = PredictionLog(tmp_path, "two", room=LogRoom(tmp_path / "log", 10_000, Counter()))
    server.log_many = kept.write_many
    assert all(b" 200 " in sent[:20] for sent in server.crowd([wire("c"), wire("d")]))
    (file,) = (tmp_path / "log" / MODEL).iterdir()
    assert [one.request_id for records, _ in log.read(file) for one in records] == ["c", "d"]


def write_environment(tmp_path, ports, quotas):
    """Write the file of a server with one model."""
    file = tmp_path / "environment.yaml"
    serving = f'{{vendor: local, root: "{tmp_path}/serving", port: {ports[0]}, grpc_port: {ports[1]}}}'
    store = f'{{vendor: sqlite, path: "{tmp_path}/online.db"}}'
    file.write_text(f"bindings:\n  serving: {serving}\n  online_store: {store}\nquotas: {quotas}\n")
    return file


def ask_http(port, name, **headers):
    """Ask over HTTP; gives status, headers and the value."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request("POST", f"/v2/models/{MODEL}/infer", json.dumps({**BODY, "id": name}), headers)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), json.loads(response.read())


def fetched(port, where, seconds=60.0):
    """Fetch the answer to what was put off, and give its status; 202 when there is none in time."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
            connection.request("GET", where)
            status = connection.getresponse().status
        if status != 202 or time.monotonic() > end:
            return status
        time.sleep(0.1)  # between two polls, as a caller does


def ask_grpc(port, name):
    """Ask over gRPC; gives code, words and trailers of an error, None when all is well."""
    asked = message("ModelInferRequest")(model_name=MODEL, id=name)
    asked.inputs.add(name="customer_id", datatype="INT64", shape=[1])
    asked.inputs.add(name="amount", datatype="FP64", shape=[1])
    asked.raw_input_contents.extend([np.arange(1, dtype="<i8").tobytes(), np.full(1, 0.5).tobytes()])
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")(asked.SerializeToString(), timeout=20)
        except grpc.RpcError as error:
            return error.code(), error.details(), dict(error.trailing_metadata())
        return None


def test_a_server_of_an_environment_with_quotas(tmp_path):
    """It reads both of its file; raised there, a server started anew answers what was refused, each once.

    What was put off waits on in the server, at one border and at the other.
    """
    ports = free_port(), free_port()
    package = write_package(tmp_path / "package", Column(0), requested=["amount"])
    write_desired(tmp_path / "serving", DesiredState(MODEL, 1, Served("1", package, "c-1")))
    with inference_server(write_environment(tmp_path, ports, "{requests_per_second: 0.001}"), ports[0]):
        assert ask_http(ports[0], "first")[0] == 200
        status, headers, said = ask_http(ports[0], "second")
        assert (status, 900 <= int(headers["retry-after"]) <= 1000) == (429, True)
        assert "requests a second, and was asked for more" in said["error"]
        code, words, trailers = ask_grpc(ports[1], "third")
        assert (code, said["error"][:40]) == (grpc.StatusCode.RESOURCE_EXHAUSTED, words[:40])
        assert 900 <= int(trailers["retry-after"]) <= 1000
        status, headers, _ = ask_http(ports[0], "put-off", prefer="respond-async")
        assert (status, fetched(ports[0], headers["location"], 1.0)) == (202, 202)
    for file in (tmp_path / "serving" / "allowances").iterdir():
        file.unlink()
    with inference_server(write_environment(tmp_path, ports, "{log_bytes: 10 B}"), ports[0]):
        assert ask_http(ports[0], "second")[0] == 503
        assert ask_grpc(ports[1], "third")[0] == grpc.StatusCode.UNAVAILABLE
        assert fetched(ports[0], headers["location"], 1.0) == 202
    raised = "{requests_per_second: 1000, log_bytes: 1 MB}"
    with inference_server(write_environment(tmp_path, ports, raised), ports[0]):
        assert ask_http(ports[0], "second")[0] == 200
        assert ask_grpc(ports[1], "third") is None
        assert fetched(ports[0], headers["location"]) == 200
    files = (tmp_path / "serving" / "log" / MODEL).iterdir()
    named = [one.request_id for file in files for records, _ in log.read(file) for one in records]
    put_off = headers["location"].rpartition("/")[2]
    assert sorted(named) == sorted(["first", "second", "third", put_off])
