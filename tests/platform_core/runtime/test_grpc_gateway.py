"""The real server over gRPC behind certificates and keys: the same door as over REST, the same log of who asked."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import subprocess
from collections import Counter
from collections.abc import Iterator
from http.client import HTTPSConnection

import pytest

from loopline.gateway import api_keys
from loopline.gateway.access_log import AccessLog
from loopline.gateway.admission import Admission
from loopline.gateway.api_keys import Tenant
from loopline.gateway.quota import Allowances
from loopline.platform_core.contracts.serving import DesiredState
from loopline.platform_core.foundation.tls import Tls
from loopline.platform_core.runtime.metrics import Metrics
from loopline.platform_core.testing.parts.inference_server import inference_server
from loopline.platform_core.testing.parts.model_packages import AMOUNT, ENTITY
from loopline.platform_core.testing.parts.ports import free_port
from loopline.platform_core.testing.serving import come_to, served
from loopline.resources.local.serving import LocalServing
from tests.platform_core.runtime.conftest import MODEL, ask_port, environment_of, grpc_request, tensors
from tests.waiting import until

grpc = pytest.importorskip("grpc")
NEW = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj", "/CN=localhost"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Run a server over TLS that asks for keys, and give its folder, its gRPC port and three keys."""
    folder = tmp_path_factory.mktemp("grpc")
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    made = ["openssl", "req", "-x509", *NEW, *names, "-keyout", "server.key", "-out", "server.pem"]
    subprocess.run(made, cwd=folder, check=True, capture_output=True)
    port, grpc_port, keys = free_port(), free_port(), folder / "keys.json"
    tls = Tls(certificate=folder / "server.pem", key=folder / "server.key", trust=folder / "server.pem")
    written = json.dumps(tls.model_dump(mode="json", exclude_none=True))
    settings = f', tls: {written}, gateway: {{keys: "{keys}", access_log: "{folder}/access.jsonl"}}'
    file = environment_of(folder, port, grpc_port, settings)
    given = {
        "shop": api_keys.create(keys, "shop"),
        "bank": api_keys.create(keys, "bank", Tenant(("credit.*",))),
        "slow": api_keys.create(keys, "slow", Tenant(per_day=1)),
    }
    serving = LocalServing(root=f"{folder}/serving", port=port, tls=tls)
    with inference_server(file, port, context=tls.client_context()):
        come_to(serving, DesiredState(MODEL, 1, served(folder, "1")))
        yield folder, grpc_port, given


@pytest.fixture
def channel(place) -> Iterator[grpc.Channel]:
    """Connect as who trusts the certificate."""
    folder, port, _ = place
    trusting = grpc.ssl_channel_credentials(folder.joinpath("server.pem").read_bytes())
    with grpc.secure_channel(f"localhost:{port}", trusting) as opened:
        yield opened


def test_health_is_open_and_reflection_is_not(channel, place):
    """As over HTTP: who looks after the server needs no key, whoever asks about anything else does."""
    from loopline.platform_core.runtime.grpc.health import HEALTH
    from loopline.platform_core.runtime.grpc.reflection import REFLECTIONS

    check = channel.unary_unary(
        f"/{HEALTH.service}/Check",
        HEALTH.message("HealthCheckRequest").SerializeToString,
        HEALTH.message("HealthCheckResponse").FromString,
    )
    assert check(HEALTH.message("HealthCheckRequest")(), timeout=60).status == 1
    own = REFLECTIONS[0]
    asks = own.message("ServerReflectionRequest")
    reflect = channel.stream_stream(
        f"/{own.service}/ServerReflectionInfo",
        asks.SerializeToString,
        own.message("ServerReflectionResponse").FromString,
    )
    with pytest.raises(grpc.RpcError) as raised:
        list(reflect(iter([asks(list_services="")]), timeout=60))
    assert raised.value.code() == grpc.StatusCode.UNAUTHENTICATED
    key = [("authorization", f"Bearer {place[2]['shop']}")]
    (told,) = reflect(iter([asks(list_services="")]), timeout=60, metadata=key)
    assert len(told.list_services_response.service) == 4


def test_an_index_tells_a_tenant_its_own_models_only(channel, place):
    """As over HTTP."""
    _, _, keys = place
    for tenant, known in (("shop", [MODEL]), ("bank", [])):
        key = [("authorization", f"Bearer {keys[tenant]}")]
        index, _ = call(channel, "RepositoryIndex", key)
        assert [one.name for one in index.models] == known
        told, _ = call(channel, "ModelStatistics", key)
        assert [one.name for one in told.model_stats] == known


def call(channel, name, metadata=(), /, **fields):
    """Call a method; its answer, and what stood in the trailing metadata."""
    from loopline.platform_core.runtime.grpc.messages import SERVICE, message

    method = channel.unary_unary(
        f"/{SERVICE}/{name}", message(f"{name}Request").SerializeToString, message(f"{name}Response").FromString
    )
    answer, done = method.with_call(message(f"{name}Request")(**fields), timeout=20, metadata=metadata)
    return answer, dict(done.trailing_metadata())


def infer(channel, key="", request_id=""):
    """Ask the model."""
    metadata = [("authorization", f"Bearer {key}")] if key else []
    metadata += [("x-request-id", request_id)] if request_id else []
    inputs = [
        {"name": ENTITY, "shape": [1], "datatype": "BYTES", "contents": {"bytes_contents": [b"k"]}},
        {"name": AMOUNT, "shape": [1], "datatype": "FP64", "contents": {"fp64_contents": [1.0]}},
    ]
    return call(channel, "ModelInfer", metadata, model_name=MODEL, inputs=inputs)


def lines(place):
    """Return the access log."""
    return [json.loads(line) for line in place[0].joinpath("access.jsonl").read_text().splitlines()]


def test_a_key_lets_in(place, channel):
    """The id of the metadata is the answer's, the log's and the access log's."""
    answer, trailing = infer(channel, place[2]["shop"], "g1")
    assert (answer.id, trailing["x-request-id"]) == ("g1", "g1")
    (line,) = [line for line in lines(place) if line["request_id"] == "g1"]
    assert (line["method"], line["tenant"], line["model"], line["version"], line["status"]) == (
        *("GRPC", "shop", MODEL, "1", 200),
    )


@pytest.mark.parametrize(("tenant", "code"), [("", "UNAUTHENTICATED"), ("bank", "PERMISSION_DENIED")])
def test_who_may_not_ask_is_refused(place, channel, tenant, code):
    """Without a key, and for a model that is not allowed; the model is neither asked nor described."""
    key = place[2].get(tenant, "ll_no_body")
    for name, fields in (
        ("ModelInfer", {"model_name": MODEL}),
        ("ModelMetadata", {"name": MODEL}),
        ("ModelReady", {"name": MODEL}),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            call(channel, name, [("x-api-key", key)], **fields)
        assert refused.value.code().name == code


def test_health_needs_no_key(channel):
    """A probe asks whether the server lives."""
    assert call(channel, "ServerLive")[0].live
    assert call(channel, "ServerReady")[0].ready
    assert told(channel, []) is grpc.StatusCode.UNAUTHENTICATED


def test_who_asks_too_much_is_told_when_to_come_back(place, channel):
    """REST and gRPC count together, in the same file."""
    infer(channel, place[2]["slow"])
    with pytest.raises(grpc.RpcError) as refused:
        infer(channel, place[2]["slow"])
    assert refused.value.code().name == "RESOURCE_EXHAUSTED"
    assert 0 < int(dict(refused.value.trailing_metadata())["retry-after"]) <= 86_400


def test_without_tls_nobody_is_heard(place):
    """The port speaks TLS alone."""
    with grpc.insecure_channel(f"localhost:{place[1]}") as plain, pytest.raises(grpc.RpcError):
        call(plain, "ServerLive")


def asked(server, keepers, metrics, seconds=20.0):
    """Ask a server in this process, with a deadline; gives the error, None when all is well."""
    from loopline.gateway.grpc_gateway import GrpcGateway
    from loopline.platform_core.runtime.grpc.service import GrpcService

    gateway = GrpcGateway(Admission(None, Allowances(server.folder)), keepers, Counter())
    service = GrpcService(server.inference, metrics, lambda: True, gateway)
    return asyncio.run(ask_port(service, grpc_request({ENTITY: ["7"], AMOUNT: [0.5]}), seconds))


def test_a_log_that_takes_nothing_costs_no_answer(server, tmp_path):
    """What was predicted and logged reaches its caller, and the keeper behind the log keeps it."""
    server.serve()
    file = tmp_path / "access.jsonl"
    assert asked(server, [AccessLog("/dev/full"), AccessLog(str(file))], Metrics()) is None
    assert json.loads(file.read_text())["status"] == 200


def test_a_caller_whose_time_is_over_is_no_failure(server, tmp_path):
    """It went away: status 0 in the access log, an error in the metrics, and no failure of ours."""
    server.serve()

    class Waiting(type(server.inference)):
        __slots__ = ()

        async def infer(self, *_):
            await asyncio.Event().wait()

    server.inference.__class__ = Waiting
    file, metrics = tmp_path / "access.jsonl", Metrics()
    assert asked(server, [AccessLog(str(file))], metrics, 0.3).code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert json.loads(file.read_text())["status"] == 0
    errors = {labels: count.errors for labels, count in metrics.counts.items()}
    assert (errors, dict(metrics.failures)) == ({(MODEL, ""): 1}, {})


def test_keys_that_are_nearly_right(channel, place):
    """Another last letter, another's secret, one key's half: none is let in, also right after the right one was."""
    keys = place[2]
    right = keys["shop"]
    other = "_".join([*right.split("_", 2)[:2], keys["bank"].split("_", 2)[2]])
    changed = right[:-1] + ("A" if right[-1] != "A" else "B")
    assert call(channel, "ServerMetadata", [("x-api-key", right)])[0].name
    for wrong in (changed, other, right[:-1], f"{right}A", right.swapcase()):
        for metadata in ([("x-api-key", wrong)], [("authorization", f"Bearer {wrong}")]):
            assert told(channel, metadata) is grpc.StatusCode.UNAUTHENTICATED
    assert told(channel, [("authorization", f"Bearer {changed}"), ("x-api-key", right)]) is (
        grpc.StatusCode.UNAUTHENTICATED
    )
    twice = [("authorization", f"Bearer {right}"), ("authorization", f"Bearer {changed}")]
    assert told(channel, twice) is grpc.StatusCode.UNAUTHENTICATED


def test_a_key_taken_back_while_connections_are_open(channel, place):
    """A second later it is refused, on the channel and on the connection that were opened with it; others go on."""
    folder, _, keys = place
    file = folder / "keys.json"
    key = api_keys.create(file, "leaver")
    port = int(re.search(r" port: (\d+)", (folder / "environment.yaml").read_text())[1])
    context = ssl.create_default_context(cafile=str(folder / "server.pem"))
    rest = HTTPSConnection("localhost", port, context=context, timeout=20)

    def asked(key):
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        sent = json.dumps({"inputs": tensors(**{ENTITY: [1], AMOUNT: [1.0]})})
        rest.request("POST", f"/v2/models/{MODEL}/infer", sent, headers)
        with rest.getresponse() as answer:
            answer.read()
            return answer.status

    until(lambda: asked(key) == 200)
    opened = rest.sock
    assert call(channel, "ServerMetadata", [("x-api-key", key)])[0].name
    api_keys.revoke(file, key.split("_")[1])
    until(lambda: asked(key) == 401)
    assert told(channel, [("x-api-key", key)]) is grpc.StatusCode.UNAUTHENTICATED
    assert asked(keys["shop"]) == 200
    assert rest.sock is opened
    rest.close()


def told(channel, metadata):
    """Ask about the server, and return with which code that is refused."""
    with pytest.raises(grpc.RpcError) as raised:
        call(channel, "ServerMetadata", metadata)
    return raised.value.code()
