"""What stands before the application: who is let in, under which id, and what is kept of it."""

from __future__ import annotations

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from loopline.gateway import api_keys, gateway, recorders
from loopline.gateway.access_log import AccessLog
from loopline.gateway.api_keys import Tenant
from loopline.gateway.gateway import Gateway
from loopline.platform_core.runtime.answering.inference import ModelState
from loopline.platform_core.runtime.request_context import REQUEST_CONTEXT, noting
from loopline.platform_core.runtime.settings.gateway import GatewaySettings
from loopline.platform_core.testing.parts.model_packages import Constant
from tests.platform_core.runtime.conftest import MODEL, tensors

WHOM, WHAT = 314_159_265_358, 271_828.1828
"""Who asks, and their feature: no time, duration or count of a log's line is written so."""
SPAN_KEYS = {"loopline.model", "loopline.version", "loopline.cycle", "loopline.role", "loopline.rows"}


class Guarded:
    """A server behind a gateway."""

    def __init__(self, server, folder, **settings):
        server.serve(Constant(0.7))
        self.refused = Counter()
        server.inference.log = noting(server.inference.log)
        server.app = Gateway(server.app, *gateway.of(GatewaySettings(**settings), folder), self.refused)
        self.server = server

    def ask(self, key="", method="POST", path=f"/v2/models/{MODEL}/infer", body=None, **headers):
        """Ask with a key."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if key:
            sent["Authorization"] = f"Bearer {key}"
        inputs = tensors(customer_id=[WHOM], amount=[WHAT])
        raw = json.dumps({"inputs": inputs, **(body or {})}).encode() if method == "POST" else b""
        return self.server.ask(method, path, raw, sent)


def lines_of(file):
    """Read a file of JSON lines."""
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture
def keys(tmp_path):
    """Say where keys are."""
    return tmp_path / "keys.json"


def test_without_a_key_nothing_but_health_is_answered(server, tmp_path, keys):
    """In the protocol's shape, and with what HTTP wants beside a 401; what is refused is not logged."""
    guarded = Guarded(server, tmp_path, keys=keys)
    reply = guarded.ask()
    assert (reply.status, reply.headers["www-authenticate"]) == (401, "Bearer")
    assert "loopline key create" in reply.error
    for path in ("/metrics", "/v2", f"/v2/models/{MODEL}", "/", "/v2/health", "/v2/health/live/", "//v2/health/live"):
        assert guarded.ask(method="GET", path=path).status == 401, path
    for path in ("/v2/health/live", "/v2/health/ready"):
        for method in ("GET", "HEAD"):
            assert guarded.ask(method=method, path=path).status == 200, path
    assert server.logged == []


def test_a_tenant_asks_its_models(server, tmp_path, keys):
    """Others are 403, whether they are there or not, described or asked."""
    allowed = api_keys.create(keys, "shop", Tenant(("retail.*",)))
    other = api_keys.create(keys, "bank", Tenant(("credit.*",)))
    guarded = Guarded(server, tmp_path, keys=keys)
    assert guarded.ask(allowed).status == 200
    assert guarded.ask(allowed, method="GET", path="/metrics").status == 200
    for path in (f"/v2/models/{MODEL}/infer", f"/v2/models/{MODEL}/versions/1/infer", "/v2/models/retail.x/infer"):
        reply = guarded.ask(other, path=path)
        assert (reply.status, "bank" in reply.error) == (403, True), path
    assert guarded.ask(other, method="GET", path=f"/v2/models/{MODEL}").status == 403
    assert guarded.refused == {"not_allowed": 4}


@pytest.mark.parametrize("patterns", [("retail.*",), ()])
def test_who_asks_for_what_is_not_there_learns_no_names(server, tmp_path, keys, patterns):
    """An error tells nobody which other models are served, least of all who may not ask them."""
    server.inference.models["finance.secret_takeover"] = ModelState()
    key = api_keys.create(keys, "shop", Tenant(patterns) if patterns else Tenant())
    reply = Guarded(server, tmp_path, keys=keys).ask(key, path="/v2/models/retail.nope/infer")
    assert (reply.status, "'retail.nope'" in reply.error) == (404, True)
    assert "finance" not in reply.error
    assert MODEL not in reply.error


@pytest.mark.parametrize("patterns", [("credit.*",), ("retail.cancel*", "credit.*"), ("*",)])
def test_an_index_tells_a_tenant_its_own_models_only(server, tmp_path, keys, patterns):
    """In the list, the index and the statistics of all: what it may not ask, it need not know of."""
    key = api_keys.create(keys, "shop", Tenant(patterns))
    guarded = Guarded(server, tmp_path, keys=keys)
    server.inference.models["credit.risk"] = server.inference.models[MODEL]
    server.inference.models["finance.secret_takeover"] = ModelState(None, "no such file")
    allowed = {name for name in server.inference.models if Tenant(patterns).may_ask(name)}
    assert set(guarded.ask(key, method="GET", path="/v2/models").json["models"]) == allowed
    index = guarded.ask(key, path="/v2/repository/index", body={"inputs": None})
    assert {one["name"] for one in index.json} == allowed
    told = guarded.ask(key, method="GET", path="/v2/models/stats").json["model_stats"]
    assert {one["name"] for one in told} == allowed - {"finance.secret_takeover"}
    for path in ("/v2/models", "/v2/models/stats", "/v2/repository/index"):
        assert guarded.ask(method="POST" if "index" in path else "GET", path=path).status == 401
    assert guarded.ask(key, method="HEAD", path="/v2/models/x.y/stats").status == (404 if patterns == ("*",) else 403)


@pytest.mark.parametrize(
    "path", [f"//v2/models/{MODEL}/infer", f"/v2//models/{MODEL}/infer", f"/v2/models/{MODEL}//infer"]
)
def test_no_way_around(server, tmp_path, keys, path):
    """Spelling a path otherwise reaches no model that is not allowed."""
    other = api_keys.create(keys, "bank", Tenant(("credit.*",)))
    assert Guarded(server, tmp_path, keys=keys).ask(other, path=path).status in {403, 404}
    assert server.logged == []


def test_who_asks_too_much_is_told_when_to_come_back(server, tmp_path, keys):
    """429 with Retry-After in whole seconds; describing a model is not counted."""
    key = api_keys.create(keys, "shop", Tenant(per_second=0.01, burst=2))
    guarded = Guarded(server, tmp_path, keys=keys)
    assert [guarded.ask(key).status for _ in range(3)] == [200, 200, 429]
    reply = guarded.ask(key)
    assert 90 <= int(reply.headers["retry-after"]) <= 100
    assert "'shop' has asked too much" in reply.error
    assert guarded.ask(key, method="GET", path="/v2").status == 200


def test_a_request_has_one_id_everywhere(server, tmp_path):
    """The header's where the body has none, the body's where it has; else one is made. Answer, header and log agree."""
    guarded = Guarded(server, tmp_path, access_log=str(tmp_path / "access.jsonl"))
    for headers, body, wanted in (
        ({"X_Request_Id": "from-header"}, {}, "from-header"),
        ({"X_Request_Id": "from-header"}, {"id": "from-body"}, "from-body"),
        ({}, {}, None),
    ):
        reply = guarded.ask(body=body, **headers)
        ids = {reply.headers["x-request-id"], reply.json["id"], server.logged[-1][1].request_id}
        assert len(ids) == 1
        assert wanted in {None, *ids}
    lines = lines_of(tmp_path / "access.jsonl")
    assert [line["request_id"] for line in lines] == [record.request_id for _, record in server.logged]


@pytest.mark.parametrize("bad", ["a b", "a\nX-Evil: 1", "x" * 129, "ä", '"'])
def test_an_id_that_could_be_more_than_an_id(server, tmp_path, bad):
    """It is replaced when it comes as a header; in a body it stays the caller's, but goes into no header."""
    guarded = Guarded(server, tmp_path)
    made = server.ask("GET", "/v2", headers={"X-Request-Id": bad}).headers["x-request-id"]
    assert made != bad
    reply = guarded.ask(body={"id": bad})
    assert reply.json["id"] == bad
    assert reply.headers["x-request-id"].isalnum()


def test_the_access_log_names_no_person(server, tmp_path, keys):
    """A line a request, refused ones too, with model, version and cycle; no key of API or entity, no feature."""
    key = api_keys.create(keys, "shop", Tenant(per_day=1))
    file = tmp_path / "access.jsonl"
    guarded = Guarded(server, tmp_path, keys=keys, access_log=str(file))
    sizes = [len(reply.body) for reply in (guarded.ask(key), guarded.ask(key), guarded.ask("ll_no_secretsecret"))]
    text, lines = file.read_text(), lines_of(file)
    assert [(line["status"], line["tenant"], line["version"], line["cycle"], line["rows"]) for line in lines] == [
        (200, "shop", "1", "cycle-1", 1),
        (429, "shop", "", "", 0),
        (401, "", "", "", 0),
    ]
    assert [line["bytes"] for line in lines] == sizes
    assert all(line["model"] == MODEL and 0 < line["ms"] < 1e4 for line in lines)
    fields = "time tenant method model version cycle role rows status ms bytes request_id"
    assert set(lines[0]) == set(fields.split())
    for secret in (key, "secretsecret", "customer_id", "amount", str(WHOM), str(WHAT)):
        assert secret not in text


def test_a_log_that_takes_nothing_costs_no_answer(server, tmp_path, caplog, monkeypatch):
    """On a full disk each request is answered, the keeper behind the log keeps it, and the server says so once."""
    monkeypatch.setattr(recorders, "_logged_at", {})
    guarded, file = Guarded(server, tmp_path, access_log="/dev/full"), tmp_path / "second.jsonl"
    guarded.server.app._recorders.append(AccessLog(str(file)))
    assert [guarded.ask().status for _ in range(3)] == [200] * 3
    assert len(file.read_text().splitlines()) == 3
    (told,) = [one for one in caplog.records if one.name == recorders.__name__]
    assert "AccessLog has not kept" in told.getMessage()
    assert "No space left" in caplog.text


def test_a_span_leads_from_the_request_to_version_and_cycle(server, tmp_path):
    """It belongs to the caller's trace, lasts as long as the request did, and an error is one."""
    pytest.importorskip("opentelemetry.sdk")
    file = tmp_path / "spans.jsonl"
    guarded = Guarded(server, tmp_path, traces=f"file:{file}")
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    guarded.ask(traceparent=f"00-{trace}-{parent}-01", X_Request_Id="r1")
    guarded.ask()
    server.inference.log = None  # whatever breaks inside
    guarded.ask()
    (tracer,) = guarded.server.app._recorders
    tracer.close()
    first, second, third = lines_of(file)
    assert (first["context"]["trace_id"], first["parent_id"]) == (f"0x{trace}", f"0x{parent}")
    assert first["attributes"] == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "loopline.request_id": "r1",
        "loopline.tenant": "",
        "loopline.model": MODEL,
        "loopline.version": "1",
        "loopline.cycle": "cycle-1",
        "loopline.role": "stable",
        "loopline.rows": 1,
        "loopline.missing_views": [],
        "loopline.stale_views": [],
    }
    assert (first["kind"], first["status"]["status_code"]) == ("SpanKind.SERVER", "UNSET")
    assert first["start_time"] < first["end_time"]
    assert second["parent_id"] is None
    assert second["context"]["trace_id"] != first["context"]["trace_id"]
    assert third["status"]["status_code"] == "ERROR"
    assert "loopline.version" not in third["attributes"]


def test_a_trace_decides_for_its_spans(server, tmp_path):
    """Of requests of their own a share is traced; who belongs to a trace follows it, either way."""
    pytest.importorskip("opentelemetry.sdk")
    file = tmp_path / "spans.jsonl"
    guarded = Guarded(server, tmp_path, traces=f"file:{file}", traces_share=0.0)
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    for sent in ({}, {"traceparent": f"00-{trace}-{parent}-00"}, {"traceparent": f"00-{trace}-{parent}-01"}):
        assert guarded.ask(**sent).status == 200
    guarded.server.app._recorders[0].close()
    (span,) = lines_of(file)
    assert span["context"]["trace_id"] == f"0x{trace}"


def test_a_collector_receives_spans(server, tmp_path):
    """Over OTLP, as the exporter sends them to a collector's URL."""
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    received = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as collector:
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        guarded = Guarded(server, tmp_path, traces=f"http://127.0.0.1:{collector.server_port}/v1/traces")
        assert guarded.ask().status == 200
        guarded.server.app._recorders[0].close()
        collector.shutdown()
    ((path, body),) = received
    (scoped,) = ExportTraceServiceRequest.FromString(body).resource_spans
    (span,) = scoped.scope_spans[0].spans
    assert (path, span.name) == ("/v1/traces", f"POST {MODEL}")
    assert {one.key: one.value.string_value for one in span.attributes}["loopline.cycle"] == "cycle-1"


def test_nothing_is_noted_of_a_request_that_is_over(server, tmp_path):
    """The next request on the same connection has a note of its own."""
    Guarded(server, tmp_path).ask()
    assert REQUEST_CONTEXT.get() is None
