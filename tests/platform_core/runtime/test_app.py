"""The protocol over ASGI: what is answered, and what is refused with which words."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
import time
import zlib
from datetime import UTC, datetime

import pytest

from loopline.platform_core.contracts.online_store import OnlineStore
from loopline.platform_core.contracts.serving import DesiredState, Served
from loopline.platform_core.errors import ContractBroken, StoreUnavailable
from loopline.platform_core.foundation.clock import ReplayClock
from loopline.platform_core.runtime.answering.inference import ModelState
from loopline.platform_core.runtime.answering.routes import Route
from loopline.platform_core.runtime.metrics import Metrics
from loopline.platform_core.runtime.model.manifest import ViewField
from loopline.platform_core.testing.parts.model_packages import Column, Constant, write_package
from tests.platform_core.runtime.conftest import HISTORY, MODEL, tensors

NOON = "2011-03-01T12:00:00Z"
NOON_US = 1_298_980_800_000_000
DAY_US = 86_400_000_000
ONE = {"customer_id": [7], "amount": [2.5]}


def test_an_answer_names_model_version_and_cycle(server):
    """Outputs are probability and label; the parameters say which version of which cycle answered in which role."""
    server.serve(Constant(0.7))
    reply = server.infer(ONE, id="r1")
    assert reply.status == 200
    assert reply.json == {
        "model_name": MODEL,
        "model_version": "1",
        "id": "r1",
        "parameters": {"version": "1", "cycle": "cycle-1", "role": "stable"},
        "outputs": [
            {"name": "probability", "shape": [1], "datatype": "FP64", "data": [0.7]},
            {"name": "label", "shape": [1], "datatype": "INT64", "data": [1]},
        ],
    }


def test_label_is_one_from_the_threshold_on(server):
    """A probability equal to the threshold is a 1."""
    server.serve(Column(0), threshold=0.4)
    reply = server.infer({"customer_id": [1, 2, 3], "amount": [0.3, 0.4, 0.5]})
    assert reply.json["outputs"][1]["data"] == [0, 1, 1]


def test_asked_outputs_come_in_the_order_asked(server):
    """A caller may want one output only."""
    server.serve()
    assert [o["name"] for o in server.infer(ONE, outputs=[{"name": "label"}]).json["outputs"]] == ["label"]
    both = server.infer(ONE, outputs=[{"name": "label"}, {"name": "probability"}]).json["outputs"]
    assert [o["name"] for o in both] == ["label", "probability"]


def test_online_features_come_from_the_store_as_they_are(server):
    """The log holds each row's features as served, text as text, and names the views without values."""
    server.serve(Column(1), views=[HISTORY])
    server.know("7", 0.25, "GB")
    server.know("8", 0.5, None)
    columns = {"customer_id": [7, 8], "amount": [1.0, 2.0]}
    reply = server.infer(columns, parameters={"event_time": NOON})
    assert reply.json["outputs"][0]["data"] == [0.25, 0.5]
    ((model, record),) = server.logged
    assert (model, record.event_time_us, record.status) == (MODEL, NOON_US, 200)
    assert 0 < record.latency_ms < 1e4
    assert [json.loads(f) for f in record.features] == [
        {"amount": 1.0, "orders": 0.25, "country": "GB"},
        {"amount": 2.0, "orders": 0.5, "country": None},
    ]
    assert [json.loads(k) for k in record.keys] == [{"customer_id": 7}, {"customer_id": 8}]
    assert record.missing == [[], []]


def test_a_category_is_its_place_in_the_vocabulary(server):
    """DE is 0, GB is 1, and what the vocabulary does not know is -1."""
    server.serve(Column(2), views=[HISTORY])
    for key, country in (("1", "DE"), ("2", "GB"), ("3", "FR")):
        server.know(key, 1.0, country)
    reply = server.infer({"customer_id": [1, 2, 3], "amount": [1.0] * 3}, parameters={"event_time": NOON})
    assert reply.json["outputs"][0]["data"] == [0.0, 1.0, -1.0]


@pytest.mark.parametrize(("age_us", "fresh"), [(90 * DAY_US, True), (90 * DAY_US + 1, False), (0, True)])
def test_a_row_older_than_the_ttl_is_stale(server, age_us, fresh):
    """Exactly as old as the TTL still counts; the age is taken against the request's event time."""
    server.serve(views=[HISTORY])
    server.know("7", 3.0, "GB", event_time_us=NOON_US - age_us)
    server.infer(ONE, parameters={"event_time": NOON})
    ((_, record),) = server.logged
    assert (record.missing, record.stale) == ([[]], [[] if fresh else [HISTORY.view]])
    assert json.loads(record.features[0])["orders"] == (3.0 if fresh else None)


@pytest.mark.parametrize("ttl_days", [90, None])
@pytest.mark.parametrize("ahead_us", [1, DAY_US])
def test_a_row_ahead_of_the_request_is_missing(server, ttl_days, ahead_us):
    """What had not happened is not known, whether the view has a TTL or not; missing is not stale."""
    server.serve(views=[ViewField(HISTORY.view, "customer_id", ["orders", "country"], ttl_days=ttl_days)])
    server.know("7", 3.0, "GB", event_time_us=NOON_US + ahead_us)
    assert server.infer(ONE, parameters={"event_time": NOON}).status == 200
    ((_, record),) = server.logged
    assert (record.missing, record.stale) == ([[HISTORY.view]], [[]])
    assert json.loads(record.features[0])["orders"] is None


def test_a_stored_row_of_another_width_is_missing(server):
    """A row that another version of the view wrote is not read at the wrong places."""
    server.serve(views=[ViewField(HISTORY.view, "customer_id", ["orders", "country", "more"])])
    server.know("7", 3.0, "GB")
    assert server.infer(ONE).status == 200
    assert server.logged[0][1].missing == [[HISTORY.view]]


class Unreachable(OnlineStore):
    """A store that does not answer."""

    def read(self, asks):
        raise StoreUnavailable("the store did not answer", "start it")

    write = drop = read


def test_a_caller_may_send_online_features(server):
    """Then they override the store's, and when all are sent the store is not asked."""
    server.serve(Column(1), views=[HISTORY])
    server.know("7", 0.25, "GB")
    part = server.infer({**ONE, "orders": [0.75]}, parameters={"event_time": NOON})
    assert part.json["outputs"][0]["data"] == [0.75]
    assert json.loads(server.logged[0][1].features[0])["country"] == "GB"
    server.inference.store = Unreachable()
    assert server.infer({**ONE, "orders": [0.5], "country": ["DE"]}).json["outputs"][0]["data"] == [0.5]


def test_a_store_that_does_not_answer_is_503(server):
    """It is no failure of the version, so it is not in the version's log."""
    server.serve(views=[HISTORY])
    server.inference.store = Unreachable()
    reply = server.infer(ONE)
    assert (reply.status, reply.error) == (503, "the store did not answer → start it")
    assert server.logged == []


def test_null_and_nan_are_missing(server):
    """JSON says null; the log says null too."""
    server.serve(Constant(0.3), views=[HISTORY])
    assert server.infer({**ONE, "orders": [None], "country": ["DE"]}).status == 200
    assert json.loads(server.logged[0][1].features[0])["orders"] is None


def test_a_model_that_raises_is_500_and_logged(server):
    """The log keeps the features that it failed on; the error names the version."""
    server.serve()
    reply = server.infer({**ONE, "amount": [-1.0]})
    assert reply.status == 500
    assert "version '1'" in reply.error or "version 1" in reply.error
    assert "a negative amount" in reply.error
    record = server.logged[0][1]
    assert (record.status, record.scores, json.loads(record.features[0])) == (500, None, {"amount": -1.0})


def test_a_score_that_is_no_number_is_500(server):
    """NaN has no place in JSON, and no meaning as a probability."""
    server.serve(Column(0))
    assert server.infer({**ONE, "amount": [None]}).status == 500


def test_a_version_may_be_named(server):
    """The path chooses stable or candidate whatever the split says."""
    server.serve(Constant(0.1), Constant(0.2), percent=0)
    for version, role in (("1", "stable"), ("2", "candidate")):
        reply = server.infer(ONE, path=f"/versions/{version}")
        assert (reply.json["model_version"], reply.json["parameters"]["role"]) == (version, role)
    assert server.infer(ONE, path="/versions/3").status == 404


def test_many_rows_go_to_one_version(server):
    """The first row's key decides for the whole request."""
    server.serve(Constant(0.1), Constant(0.2), percent=50)
    roles = set()
    for first in range(30):
        reply = server.infer({"customer_id": list(range(first, first + 20)), "amount": [1.0] * 20})
        alone = server.infer({"customer_id": [first], "amount": [1.0]})
        assert set(reply.json["outputs"][0]["data"]) == set(alone.json["outputs"][0]["data"])
        roles.add(reply.json["parameters"]["role"])
    assert roles == {"stable", "candidate"}


def test_a_tensor_of_the_other_version_is_no_mistake(server):
    """While a candidate takes other features, callers send what either needs."""
    stable = server.served("1", Constant(0.1))
    server.route(stable, server.served("2", Constant(0.2), views=[HISTORY]), percent=50)
    columns = {"amount": [1.0], "orders": [2.0], "country": ["DE"]}
    replies = [server.infer({"customer_id": [key], **columns}) for key in range(20)]
    assert {reply.json["parameters"]["role"] for reply in replies} == {"stable", "candidate"}
    server.route(stable)
    assert server.infer({"customer_id": [1], **columns}).status == 400


def test_server_metadata(server):
    """The server names itself and its extensions."""
    told = ["binary_tensor_data", "model_configuration", "model_repository", "statistics"]
    assert server.ask("GET", "/v2").json["extensions"] == told
    assert server.ask("GET", "/v2").json["name"] == "loopline"


def test_model_metadata(server):
    """Entities and request features are inputs; the parameters say what is live."""
    server.serve(Constant(0.1), Constant(0.2), percent=5, views=[HISTORY])
    said = server.ask("GET", f"/v2/models/{MODEL}").json
    assert said["name"] == MODEL
    assert said["versions"] == ["1", "2"]
    assert said["inputs"] == [
        {"name": "customer_id", "datatype": "BYTES", "shape": [-1]},
        {"name": "amount", "datatype": "FP64", "shape": [-1]},
    ]
    assert [(o["name"], o["datatype"]) for o in said["outputs"]] == [("probability", "FP64"), ("label", "INT64")]
    form, batching = said["parameters"].pop("form"), said["parameters"].pop("batching")
    assert (form, batching[:5]) == ("a model for tests is served as it is", "off: ")
    assert said["parameters"] == {
        "generation": 1,
        "stable_version": "1",
        "stable_cycle": "cycle-1",
        "candidate_version": "2",
        "candidate_cycle": "cycle-2",
        "candidate_percent": 5,
    }
    assert server.ask("GET", f"/v2/models/{MODEL}/versions/2").json["name"] == MODEL
    assert server.ask("GET", f"/v2/models/{MODEL}/versions/9").status == 404


def test_health_and_readiness(server):
    """Live always; a model is ready once a version of it is loaded."""
    assert server.ask("GET", "/v2/health/live").json == {"live": True}
    assert server.ask("GET", "/v2/health/ready").json == {"ready": True}
    assert server.ask("GET", f"/v2/models/{MODEL}/ready").status == 404
    server.inference.models[MODEL] = ModelState()
    assert server.ask("GET", f"/v2/models/{MODEL}/ready").status == 503
    assert server.infer(ONE).status == 503
    server.serve()
    assert server.ask("GET", f"/v2/models/{MODEL}/ready").json == {"name": MODEL, "ready": True}
    assert server.ask("GET", f"/v2/models/{MODEL}/versions/1/ready").status == 200
    assert server.ask("GET", f"/v2/models/{MODEL}/versions/2/ready").status == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1/models", 404),
        ("POST", "/v2/models/nobody/infer", 404),
        ("POST", f"/v2/models/{MODEL}", 405),
        ("DELETE", f"/v2/models/{MODEL}", 405),
        ("GET", f"/v2/models/{MODEL}/infer", 405),
        ("GET", "/v2/models/nobody", 404),
        ("GET", f"/v2/models/{MODEL}/versions/1/explain", 404),
    ],
)
def test_paths_that_are_none(server, method, path, status):
    """An error is always one message."""
    server.serve()
    reply = server.ask(method, path)
    assert reply.status == status
    assert "→" in reply.error


def body(**changes):
    """Make a good body, changed."""
    return {"inputs": tensors(customer_id=[7], amount=[1.0])} | changes


def with_amount(**changes):
    """Make a good body with another amount tensor."""
    good = body()
    good["inputs"][1] |= changes
    return good


@pytest.mark.parametrize(("ahead_us", "status"), [(-DAY_US, 200), (DAY_US, 200), (DAY_US + 1, 400)])
def test_a_request_may_happen_a_day_ahead_of_the_clock_and_no_more(server, tmp_path, ahead_us, status):
    """One of next century would be the newest for ever, and hide all that come from who reads on by event time."""
    clock = server.inference.clock = ReplayClock(tmp_path / "clock")
    clock.set(datetime(2011, 3, 1, 12, tzinfo=UTC))
    server.serve()
    at = datetime.fromtimestamp((NOON_US + ahead_us) / 1e6, UTC).isoformat()
    reply = server.infer(ONE, parameters={"event_time": at})
    assert (reply.status, len(server.logged)) == (status, int(status == 200))
    if status == 400:
        assert reply.error == (
            "parameter event_time: 2011-03-02T12:00:00+00:00 is too far ahead: the server's clock says "
            "2011-03-01T12:00:00+00:00 → send the instant at which it happened, a day after now at most, "
            "or none for now"
        )


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"", "no inference request"),
        (b"{", "no inference request"),
        (b"\xff", "no inference request"),
        (b"[" * 100_000, "no inference request"),
        (
            b'{"inputs": [{"name": "customer_id", "shape": [1], "datatype": "BYTES", "data": ["\\ud800"]}]}',
            "no inference",
        ),
        ([], "no inference request"),
        ({}, "inputs"),
        (body(inputs=[]), "rows"),
        (body(inputs=body()["inputs"][:1]), "amount"),
        (body(inputs=body()["inputs"][1:]), "customer_id"),
        (body(inputs=body()["inputs"] * 2), "twice"),
        (body(id=5), "id"),
        (body(parameters={"event_time": "noon"}), "event_time"),
        (body(parameters={"event_time": 5}), "event_time"),
        (body(parameters=[]), "parameters"),
        (body(outputs=[{"name": "nothing"}]), "no output 'nothing'"),
        (with_amount(name="colour"), "takes no tensor colour"),
        (with_amount(shape=[2]), "shape"),
        (with_amount(shape=[1, 1, 1]), "shape"),
        (with_amount(shape=[-1]), "shape"),
        (with_amount(shape=[1, 2], data=[[1.0, 2.0]]), "values a row"),
        (with_amount(shape=[2], data=[1.0, 2.0]), "rows"),
        (with_amount(shape=[0], data=[]), "rows"),
        (with_amount(data=["1.0"]), "no FP64"),
        (with_amount(data=[True]), "no FP64"),
        (with_amount(data=[{}]), "no FP64"),
        (with_amount(data=[10**400]), "beyond float64"),
        (with_amount(data=None), "no data"),
        (with_amount(data="1.0"), "data"),
        (with_amount(datatype="FP8"), "unknown datatype"),
        (with_amount(datatype="INT64", data=[1.5]), "no INT64"),
        (with_amount(datatype="INT8", data=[300]), "beyond INT8"),
        (with_amount(datatype="UINT8", data=[-1]), "beyond UINT8"),
        (with_amount(datatype="INT64", data=[2**63]), "beyond INT64"),
        (with_amount(datatype="BYTES", data=["1"]), "text and numbers are mixed up in amount"),
        (with_amount(parameters={"binary_data_size": 8}), "wants 8 bytes where 0 are left"),
        (with_amount(parameters={"binary_data_size": "8"}), "wants 8 bytes"),
        (with_amount(parameters={"binary_data_size": -1}), "wants -1 bytes"),
        (body(inputs=[{**body()["inputs"][0], "data": [None]}, body()["inputs"][1]]), "no key"),
        (
            body(inputs=[{**body()["inputs"][0], "datatype": "FP64", "data": [7.0]}, body()["inputs"][1]]),
            "'customer_id' holds what is no key",
        ),
    ],
)
def test_a_bad_request_is_400_with_its_reason(server, sent, words):
    """Whatever is wrong with a request is named, and nothing of it is logged."""
    server.serve(views=[HISTORY])
    reply = server.post(sent)
    assert reply.status == 400
    assert words in reply.error
    assert server.logged == []


def test_missing_tensors_are_named_with_what_is_expected(server):
    """A caller learns from the error what to send."""
    server.serve(views=[HISTORY])
    error = server.infer({"customer_id": [7]}).error
    assert error == (
        "tensors are missing: amount → "
        "send entities customer_id (INT64 or BYTES) and features amount (FP64); optional: orders, country"
    )


@pytest.mark.parametrize("datatype", ["FP64", "FP32", "INT64", "INT8", "UINT64", "BOOL"])
def test_numbers_of_any_datatype(server, datatype):
    """A feature is a number, whatever its width."""
    server.serve(Column(0))
    reply = server.post(with_amount(datatype=datatype, data=[True if datatype == "BOOL" else 1]))
    assert reply.json["outputs"][0]["data"] == [1.0]


def test_keys_as_text_and_columns(server):
    """Keys may be text, and tensors may have shape [n, 1]."""
    server.serve(Column(0))
    inputs = [
        {"name": "customer_id", "shape": [2, 1], "datatype": "BYTES", "data": [["a"], ["b"]]},
        {"name": "amount", "shape": [2, 1], "datatype": "FP64", "data": [[0.25], [0.5]]},
    ]
    assert server.post({"inputs": inputs}).json["outputs"][0]["data"] == [0.25, 0.5]
    assert server.logged[0][1].keys == ['{"customer_id":"a"}', '{"customer_id":"b"}']


def test_packed_bodies(server):
    """Both gzip and deflate are read; what is neither, cut off or torn is refused."""
    server.serve()
    plain = json.dumps(body()).encode()

    def send(packed, coding):
        return server.ask("POST", f"/v2/models/{MODEL}/infer", packed, {"Content-Encoding": coding})

    assert send(gzip.compress(plain), "gzip").status == 200
    assert send(zlib.compress(plain), "deflate").status == 200
    assert send(plain, "identity").status == 200
    assert send(plain, "br").status == 400
    assert send(plain, "gzip").status == 400
    assert send(gzip.compress(plain)[:-9], "gzip").status == 400


def test_a_body_that_is_too_long_is_413(server):
    """Long as sent, or long once unpacked."""
    server.serve()
    long = b" " * (17 * 1024 * 1024)
    assert server.post(long).status == 413
    packed = server.ask("POST", f"/v2/models/{MODEL}/infer", gzip.compress(long), {"Content-Encoding": "gzip"})
    assert packed.status == 413


def test_a_long_answer_is_packed_for_who_can_unpack(server):
    """Short answers are not worth it."""
    server.serve()
    many = json.dumps({"inputs": tensors(customer_id=[*range(2000)], amount=[1.0] * 2000)}).encode()
    reply = server.ask("POST", f"/v2/models/{MODEL}/infer", many, {"Accept-Encoding": "gzip"})
    assert reply.headers["content-encoding"] == "gzip"
    assert len(json.loads(gzip.decompress(reply.body))["outputs"][0]["data"]) == 2000
    short = server.ask("POST", f"/v2/models/{MODEL}/infer", json.dumps(body()).encode(), {"Accept-Encoding": "gzip"})
    assert "content-encoding" not in short.headers


def test_a_caller_that_goes_away_is_no_request(server):
    """Half a request is neither answered nor logged."""
    server.serve()
    messages = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])

    async def receive():
        return next(messages)

    async def send(message):
        raise AssertionError(message)

    scope = {"type": "http", "method": "POST", "path": f"/v2/models/{MODEL}/infer", "headers": []}
    asyncio.run(server.app(scope, receive, send))
    assert server.logged == []


def test_counters(server):
    """Requests, errors and seconds are counted by model and version; unknown models leave no trace."""
    server.serve()
    server.infer(ONE)
    server.infer({})
    server.ask("POST", "/v2/models/nobody/infer", b"{}")
    text = server.ask("GET", "/metrics").body.decode()
    assert f'loopline_requests_total{{model="{MODEL}",version="1"}} 1' in text
    assert f'loopline_rows_total{{model="{MODEL}",version="1"}} 1' in text
    assert f'loopline_errors_total{{model="{MODEL}",version=""}} 1' in text
    assert f'loopline_request_seconds_count{{model="{MODEL}",version="1"}} 1' in text
    assert "nobody" not in text


def test_counting_goes_on_while_metrics_are_written(server, monkeypatch):
    """A thread writes them, of what was counted when they were asked for: with many models it takes its time."""
    lines, main, threads = Metrics.lines, threading.get_ident(), []

    def noted(metrics):
        threads.append(threading.get_ident())
        server.app._metrics.count("other.model", "2", time.perf_counter())
        return lines(metrics)

    monkeypatch.setattr(Metrics, "lines", noted)
    server.serve(views=[HISTORY], requested=["amount"])
    server.infer(ONE)
    texts = [server.ask("GET", "/metrics").body.decode() for _ in range(2)]
    assert main not in threads
    assert ["other.model" in text for text in texts] == [False, True]
    assert f'loopline_features_missing_total{{model="{MODEL}",view="{HISTORY.view}"}} 1' in texts[1]


def test_the_log_comes_before_the_answer(server):
    """A request that cannot be logged is not answered."""
    server.serve()

    def full(model, record):
        raise StoreUnavailable("the disk is full", "free it")

    server.inference.log = full
    assert server.infer(ONE).status == 503


def test_a_manifest_without_its_views_is_refused(server, tmp_path):
    """A version whose online features come from nowhere is not loaded."""
    package = write_package(tmp_path / "package", Constant(0.1), views=[HISTORY])
    file = package / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"views": []}))
    with pytest.raises(ContractBroken, match="orders, country"):
        Route.build(DesiredState(MODEL, 1, Served("1", package, "c")), None)
