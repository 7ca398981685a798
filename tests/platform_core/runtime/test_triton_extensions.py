"""Every call of Triton's two clients: answered, or refused in words that say what to use instead."""

from __future__ import annotations

import http.client
import queue
import time
from collections.abc import Iterator

import numpy as np
import pytest
import tritonclient.grpc as over_grpc
import tritonclient.http as over_http
from tritonclient.utils import InferenceServerException

from loopline.platform_core.testing.parts.model_packages import Column, Constant

MODEL = "retail.cancellations"
HTTP, GRPC = "http", "grpc"
both = pytest.mark.parametrize("kind", [HTTP, GRPC])
ANSWERED = {
    "index": lambda client: client.get_model_repository_index(),
    "config": lambda client: client.get_model_config(MODEL),
    "config of a version": lambda client: client.get_model_config(MODEL, "1"),
    "statistics": lambda client: client.get_inference_statistics(),
    "statistics of a model": lambda client: client.get_inference_statistics(MODEL),
    "statistics of a version": lambda client: client.get_inference_statistics(MODEL, "1"),
    "system memory": lambda client: client.get_system_shared_memory_status(),
    "CUDA memory": lambda client: client.get_cuda_shared_memory_status(),
    "clear system memory": lambda client: client.unregister_system_shared_memory(),
    "clear CUDA memory": lambda client: client.unregister_cuda_shared_memory(),
    "clear a region": lambda client: client.unregister_system_shared_memory("a"),
}
REFUSED = {
    "load": (lambda client: client.load_model(MODEL), "loopline cycle start"),
    "unload": (lambda client: client.unload_model(MODEL), "loopline rollback"),
    "share memory": (lambda client: client.register_system_shared_memory("a", "b", 1), "send tensors"),
    "share CUDA memory": (lambda client: client.register_cuda_shared_memory("a", b"YWJj", 0, 1), "send tensors"),
    "trace": (lambda client: client.get_trace_settings(), "serving.gateway.traces"),
    "trace a model": (lambda client: client.get_trace_settings(MODEL), "serving.gateway.traces"),
    "set traces": (lambda client: client.update_trace_settings(settings={"trace_rate": "1"}), "serving.gateway.traces"),
    "log": (lambda client: client.get_log_settings(), "LOOPLINE_LOG"),
    "set log": (lambda client: client.update_log_settings({"log_verbose_level": 1}), "LOOPLINE_LOG"),
}


@pytest.fixture(scope="module")
def clients(running) -> Iterator[dict]:
    """Connect by both protocols."""
    opened = {
        HTTP: over_http.InferenceServerClient(f"127.0.0.1:{running.port}"),
        GRPC: over_grpc.InferenceServerClient(f"127.0.0.1:{running.grpc_port}"),
    }
    yield opened
    for client in opened.values():
        client.close()


def infer(kind, client, amounts):
    """Ask for some rows."""
    of = over_http if kind == HTTP else over_grpc
    tensors = [of.InferInput("customer_id", [len(amounts)], "BYTES"), of.InferInput("amount", [len(amounts)], "FP64")]
    tensors[0].set_data_from_numpy(np.array([b"k"] * len(amounts), dtype=object))
    tensors[1].set_data_from_numpy(np.array(amounts))
    return client.infer(MODEL, tensors)


def told(kind, client, name, *given):
    """Return an answer as JSON, over either protocol."""
    return getattr(client, name)(*given, **({"as_json": True} if kind == GRPC else {}))


@both
@pytest.mark.parametrize("name", ANSWERED)
def test_is_answered(clients, kind, name):
    """No error; what is in it is looked at below."""
    ANSWERED[name](clients[kind])


@both
@pytest.mark.parametrize("name", REFUSED)
def test_is_refused_with_words(clients, kind, name):
    """501 or UNIMPLEMENTED, in the protocol's shape; the words say what to use instead."""
    call, words = REFUSED[name]
    with pytest.raises(InferenceServerException, match=f" → .*{words}") as raised:
        call(clients[kind])
    assert raised.value.status() == {HTTP: "501", GRPC: "StatusCode.UNIMPLEMENTED"}[kind]


def test_a_stream_of_answers_is_refused(running):
    """The words reach the stream's callback."""
    got = queue.Queue()
    with over_grpc.InferenceServerClient(f"127.0.0.1:{running.grpc_port}") as client:
        client.start_stream(lambda result, error: got.put(error))
        assert "call ModelInfer" in str(got.get(timeout=60))


@both
def test_the_index_names_each_version(clients, kind):
    """Both protocols tell the same."""
    index = told(kind, clients[kind], "get_model_repository_index")
    models = index["models"] if kind == GRPC else index
    assert [{key: value for key, value in one.items() if value} for one in models] == [
        {"name": MODEL, "version": "1", "state": "READY"}
    ]


@both
def test_the_configuration_fits_the_metadata(clients, kind):
    """A tensor's shape in the metadata is the batch and then the configuration's dimensions."""
    config = told(kind, clients[kind], "get_model_config", MODEL)
    config = config["config"] if kind == GRPC else config
    metadata = told(kind, clients[kind], "get_model_metadata", MODEL)
    assert (config["name"], config["platform"], config["max_batch_size"]) == (MODEL, metadata["platform"], 10_000)
    assert {one["name"]: one["data_type"] for one in config["input"]} == {
        "customer_id": "TYPE_STRING",
        "amount": "TYPE_FP64",
    }
    for part in ("input", "output"):
        shapes = {one["name"]: [-1, *map(int, one.get("dims", []))] for one in config[part]}
        assert shapes == {one["name"]: [*map(int, one["shape"])] for one in metadata[f"{part}s"]}
    assert config["parameters"]["stable_version"] == {"string_value": "1"}


@both
def test_statistics_count_requests_and_rows(clients, kind):
    """What is asked over one protocol shows in the statistics of both; a request may have many rows."""
    client = clients[kind]
    before, started_ms = statistics(kind, client), int(time.time() * 1000)
    infer(kind, client, [0.1, 0.2, 0.3])
    with pytest.raises(InferenceServerException):
        infer(kind, client, [float("nan")])
    for other in clients:
        after = statistics(other, clients[other])
        assert after["inference_count"] - before["inference_count"] == 3
        assert after["execution_count"] - before["execution_count"] == 1
        assert after["success"] - before["success"] == 1
        assert after["fail"] - before["fail"] == 1
        assert after["ns"] > before["ns"]
        assert started_ms - 1000 <= after["last_inference"] <= time.time() * 1000 + 1000


def statistics(kind, client):
    """Return numbers of the model's only version."""
    (one,) = told(kind, client, "get_inference_statistics", MODEL)["model_stats"]
    assert (one["name"], one["version"]) == (MODEL, "1")
    numbers = {name: int(one.get(name, 0)) for name in ("inference_count", "execution_count", "last_inference")}
    parts = one["inference_stats"]
    counts = {name: int(parts.get(name, {}).get("count", 0)) for name in ("success", "fail")}
    return numbers | counts | {"ns": int(parts.get("success", {}).get("ns", 0))}


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.get_model_config("nobody"),
        lambda client: client.get_model_config(MODEL, "9"),
        lambda client: client.get_inference_statistics("nobody"),
        lambda client: client.get_inference_statistics(MODEL, "9"),
    ],
)
@both
def test_what_is_not_there_is_not_found(clients, kind, call):
    """By the code of either protocol."""
    with pytest.raises(InferenceServerException, match=r"nobody|'9'") as raised:
        call(clients[kind])
    assert raised.value.status() == {HTTP: "404", GRPC: "StatusCode.NOT_FOUND"}[kind]


def test_models_are_listed(server):
    """As KServe's clients ask; the index names versions, and why a model is not there yet."""
    server.serve(Constant(0.1), Column(0), percent=5)
    server.inference.models["retail.late"] = type(server.inference.models[MODEL])(None, "")
    server.inference.models["retail.broken"] = type(server.inference.models[MODEL])(None, "no such file")
    assert server.ask("GET", "/v2/models").json == {"models": ["retail.broken", MODEL, "retail.late"]}
    index = server.ask("POST", "/v2/repository/index").json
    assert [(one["name"], one["version"], one["state"]) for one in index] == [
        ("retail.broken", "", "UNAVAILABLE"),
        (MODEL, "1", "READY"),
        (MODEL, "2", "READY"),
        ("retail.late", "", "LOADING"),
    ]
    ready = server.ask("POST", "/v2/repository/index", b'{"ready": true}').json
    assert {one["name"] for one in ready} == {MODEL}
    assert {one["version"] for one in server.ask("GET", "/v2/models/stats").json["model_stats"]} == {"1", "2"}
    refused = server.ask("POST", "/v2/repository/index", b'{"ready": 3}')
    assert (refused.status, "no request for the index" in refused.error) == (400, True)


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v2/repository/index", "POST"),
        ("POST", "/v2/models", "GET, HEAD"),
        ("DELETE", f"/v2/models/{MODEL}/config", "GET, HEAD"),
        ("POST", f"/v2/models/{MODEL}/versions/1/stats", "GET, HEAD"),
    ],
)
def test_other_methods_are_told_the_right_one(server, method, path, allow):
    """405 with Allow."""
    server.serve()
    reply = server.ask(method, path)
    assert (reply.status, reply.headers["allow"]) == (405, allow)


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready", "/v2", f"/v2/models/{MODEL}", "/metrics"])
def test_head_is_get_without_the_body(running, path):
    """Load balancers ask for health so; the length is that of the body that GET would bring."""
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
    answers = []
    for method in ("HEAD", "GET"):
        connection.request(method, path)
        answer = connection.getresponse()
        answers.append((answer.status, answer.headers["content-type"], len(answer.read()) > 0))
    connection.close()
    assert answers[0] == (*answers[1][:2], False)
    assert answers[1][2]


@pytest.mark.parametrize("path", ["/v2/repository/other/index", f"/v2/repository/other/models/{MODEL}/load"])
def test_there_is_one_repository(server, path):
    """Its name cannot be given."""
    reply = server.ask("POST", path)
    assert (reply.status, "has no name" in reply.error) == (501, True)


def test_no_region_of_memory_is_there(server):
    """Who asks for one by name is told so."""
    assert server.ask("GET", "/v2/systemsharedmemory/region/a/status").status == 404
    assert server.ask("GET", "/v2/cudasharedmemory/status").json == []
