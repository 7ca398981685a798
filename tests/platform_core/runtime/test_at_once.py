"""Requests answered at the turn's end, beside the same requests over ASGI: the same bytes, records and counts."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.foundation.clock import ReplayClock
from loopline.platform_core.runtime.model import models
from loopline.platform_core.runtime.settings.limits import Limits
from loopline.platform_core.testing.parts.model_packages import Column, Constant, Slow
from tests.platform_core.runtime.conftest import HISTORY, MODEL, tensors
from tests.repeats import repeats

KEY, AMOUNT = tensors(customer_id=[7], amount=[0.5])
ONE = {"inputs": [KEY, AMOUNT]}
WIDE = {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP64", "data": [0.25]}]}
SUPPRESSED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


def post(body, *more, path="", model=MODEL):
    """Write a request."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [f"POST /v2/models/{model}{path}/infer HTTP/1.1", "Host: x", f"Content-Length: {len(raw)}", *more]
    return "\r\n".join([*head, "", ""]).encode() + raw


def packed(inputs, numbers, more=b"", **rest):
    """Write a request some of whose numbers come as bytes, with ``more`` bytes behind them."""
    described = {"shape": [1], "datatype": "FP64", "parameters": {"binary_data_size": 8}}
    text = json.dumps({"inputs": [*inputs, *({"name": name, **described} for name in numbers)], **rest}).encode()
    raw = struct.pack(f"<{len(numbers)}d", *numbers.values())
    return post(text + raw + more, f"Inference-Header-Content-Length: {len(text)}")


def get(path):
    """Write a request for something else."""
    return f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode()


class Failing(Column):
    """A model that raises."""

    def predict_proba(self, matrix):
        if len(matrix) == 1 and matrix[0, 0] < 0:
            raise ValueError("no")
        return super().predict_proba(matrix)


REQUESTS = {
    "columns": post(ONE),
    "a matrix": post(WIDE),
    "a version": post(ONE, path="/versions/1"),
    "the candidate": post(ONE, path="/versions/2"),
    "no such version": post(ONE, path="/versions/9"),
    "no such model": post(ONE, model="nobody"),
    "an id": post(ONE | {"id": "é/1"}),
    "an instant": post(ONE | {"parameters": {"event_time": "2011-03-01T12:00:00Z"}}),
    "no instant": post(ONE | {"parameters": {"event_time": "noon"}}),
    "one output": post(ONE | {"outputs": [{"name": "label"}]}),
    "bytes out": post(ONE | {"parameters": {"binary_data_output": True}}),
    "no json": post(b"{"),
    "no body": post(b""),
    "a tensor too few": post({"inputs": [KEY]}),
    "a tensor too many": post({"inputs": [KEY, AMOUNT, AMOUNT | {"name": "x"}]}),
    "text": post({"inputs": [KEY, {"name": "amount", "shape": [1], "datatype": "BYTES", "data": ["x"]}]}),
    "the model fails": post({"inputs": [KEY, AMOUNT | {"data": [-1.0]}]}),
    "many rows": post({"inputs": [t | {"shape": [600], "data": t["data"] * 600} for t in (KEY, AMOUNT)]}),
    "too many rows": post({"inputs": [t | {"shape": [900], "data": t["data"] * 900} for t in (KEY, AMOUNT)]}),
    "a long body": post(ONE | {"id": "x" * 30_000}),
    "too long": post(ONE | {"id": "x" * 70_000}),
    "keep alive": post(ONE, "Connection: keep-alive"),
    "close": post(ONE, "Connection: close"),
    "packed answer": post(ONE | {"id": "x" * 6_000}, "Accept-Encoding: gzip"),
    "no packed body": post(ONE, "Content-Encoding: gzip"),
    "a length": post(ONE, "Inference-Header-Content-Length: 3"),
    "no length": post(ONE, "Inference-Header-Content-Length: x"),
    "a long length": post(ONE, f"Inference-Header-Content-Length: {'9' * 5_000}"),
    "bytes": packed([KEY], {"amount": 0.5}),
    "bytes both ways": packed([KEY], {"amount": 0.5}, parameters={"binary_data_output": True}),
    "too few bytes": packed([KEY, {**AMOUNT, "data": None, "parameters": {"binary_data_size": 8}}], {}),
    "too many bytes": packed([KEY, AMOUNT], {}, b"more"),
    "expecting": post(ONE, "Expect: 100-continue"),
    "a query": post(ONE, path="/versions/1").replace(b"/infer ", b"/infer?x=1 "),
    "an escape": post(ONE).replace(b"retail.", b"retail%2E"),
    "another method": post(ONE).replace(b"POST", b"PUT", 1),
    "health": get("/v2/health/ready"),
    "no http": b"\x00\x01\r\n\r\n",
}


pytestmark = pytest.mark.usefixtures("untimed")


@pytest.fixture
def asked(server):
    """Give a server with two versions of which some requests make one fail, and features online."""
    server.limits = Limits(rows=800, body_bytes=65_536)
    server.inference.most_rows = 800
    server.serve(Failing(0), candidate=Constant(0.9), percent=50)
    return server


@pytest.mark.parametrize("name", REQUESTS)
def test_both_ways_say_the_same(asked, name):
    """Status, headers, body, the log's records and the counts are the same; so is whether the connection goes on."""
    plain, at_once = asked.both([REQUESTS[name]])
    assert at_once == plain
    assert plain.sent.startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize("known", [True, False])
def test_what_is_looked_up_is_the_same(server, known):
    """A store that only reads is asked at the turn's end, for all at once."""
    server.serve(Column(1), views=[HISTORY])
    if known:
        server.know("7", 0.25, "GB")
    instant = {"parameters": {"event_time": "2011-03-01T12:00:00Z"}}
    plain, at_once = server.both([post(ONE | instant), post(ONE | instant)])
    assert at_once == plain
    assert [record.missing for _, record in plain.logged] == [[[] if known else [HISTORY.view]]] * 2
    assert server.taken == 2


def test_an_instant_to_come_is_refused_on_both_paths(server, tmp_path):
    """What is too far ahead of the clock fails alone; what comes beside it is answered."""
    server.inference.clock = ReplayClock(tmp_path / "clock")
    server.inference.clock.set(datetime(2011, 3, 1, 12, tzinfo=UTC))
    server.serve()
    sent = [post(ONE | {"parameters": {"event_time": f"{year}-03-02T11:00:00Z"}}) for year in (2011, 2111)]
    plain, at_once = server.both(sent)
    assert at_once == plain
    assert (plain.sent.count(b" 200 "), plain.sent.count(b" 400 "), len(plain.logged)) == (1, 1, 1)
    assert b"the server's clock says 2011-03-01T12:00:00+00:00" in plain.sent


@pytest.fixture
def away(server, monkeypatch):
    """Let the store not answer."""

    def read(store, asks):
        raise StoreUnavailable("down", "wait")

    monkeypatch.setattr(type(server.store), "read", read)


@pytest.mark.usefixtures("away")
def test_a_store_that_does_not_answer_fails_those_who_need_it(server):
    """They are told to come again; nothing is logged of them."""
    server.serve(views=[HISTORY])
    plain, at_once = server.both([post(ONE), post({"inputs": [KEY, AMOUNT, *tensors(orders=[1.0], country=["DE"])]})])
    assert at_once == plain
    assert (plain.sent.count(b" 503 "), plain.sent.count(b" 200 "), len(plain.logged)) == (1, 1, 1)


@pytest.mark.parametrize(
    ("inputs", "more", "status"),
    [
        ([KEY, AMOUNT | {"data": [-1.0]}], {}, b"500"),
        ([KEY], {}, b"400"),
        ([KEY, AMOUNT], {"parameters": {"event_time": "2211-03-01T12:00:00Z"}}, b"400"),
    ],
)
def test_an_error_counts_for_the_version_that_was_to_answer(server, tmp_path, inputs, more, status):
    """Also where each request to a candidate fails: its errors and requests are its own."""
    server.inference.clock = ReplayClock(tmp_path / "clock")  # one error tells the second
    server.inference.clock.set(datetime(2011, 3, 1, 12, tzinfo=UTC))
    server.serve(Column(0), candidate=Failing(0))
    plain, at_once = server.both([post({"inputs": inputs} | more, path="/versions/2")] * 2)
    assert at_once == plain
    assert plain.sent.count(b"HTTP/1.1 " + status) == 2
    assert plain.counted["requests"] == plain.counted["errors"] == {(MODEL, "2"): 2}


@pytest.mark.usefixtures("away")
def test_a_store_that_is_away_counts_for_the_version_that_asked(server):
    """Which may be the candidate alone, as it looks up what the stable version does not take."""
    server.route(server.served("1", Constant(0.1)), server.served("2", Constant(0.2), views=[HISTORY]))
    plain, at_once = server.both([post(ONE, path="/versions/2"), post(ONE)])
    assert at_once == plain
    assert plain.counted["requests"] == {(MODEL, "2"): 1, (MODEL, "1"): 1}
    assert plain.counted["errors"] == {(MODEL, "2"): 1}


def test_an_error_of_no_version(server):
    """A tensor that nobody takes is refused before a version is chosen."""
    server.serve(Column(0), candidate=Failing(0), percent=50)
    plain, at_once = server.both([REQUESTS["a tensor too many"], REQUESTS["no json"]])
    assert at_once == plain
    assert plain.counted["errors"] == {(MODEL, ""): 2}


@settings(max_examples=repeats(30), deadline=None, suppress_health_check=SUPPRESSED)
@given(
    st.lists(st.sampled_from(sorted(set(REQUESTS) - {"expecting", "no http"})), min_size=1, max_size=5),
    st.lists(st.integers(0, 2_000), max_size=3),
)
def test_whatever_follows_whatever(asked, names, cuts):
    """Requests that come behind one another, cut anywhere, are answered in their order; so are those on both paths."""
    sent = b"".join(REQUESTS[name] for name in names)
    places = [0, *sorted(min(cut, len(sent)) for cut in cuts), len(sent)]
    plain, at_once = asked.both([sent[a:b] for a, b in pairwise(places)], together=True)
    assert at_once == plain


def test_a_body_that_comes_in_pieces(asked):
    """Many clients write head and body one after the other."""
    whole = REQUESTS["columns"]
    plain, at_once = asked.both([whole[:-40], whole[-40:-20], whole[-20:]])
    assert (at_once, asked.taken) == (plain, 1)
    assert plain.sent.startswith(b"HTTP/1.1 200")


def test_a_body_that_does_not_come(server):
    """Its caller is told in time, and the connection ends."""
    server.limits = Limits(receive_seconds=5)
    server.serve()
    (said,) = server.crowd([post(ONE)[:-5]], looks=[0.0, 4.0])
    assert said == b""
    (said,) = server.crowd([post(ONE)[:-5]], looks=[0.0, 4.0, 6.0])
    assert said.startswith(b"HTTP/1.1 408")
    assert said.endswith(b"closed")
    assert server.refused == {"slow_request": 1}


def test_what_is_plain_is_answered_at_once(asked):
    """One of these tests would see it if nothing were."""
    for name in ("columns", "a matrix", "a version", "an id", "keep alive", "no json", "the model fails", "bytes"):
        before = asked.taken
        asked.both([REQUESTS[name]])
        assert asked.taken == before + 1, name


@pytest.mark.parametrize("name", ["many rows", "a long body", "close", "no packed body", "expecting"])
def test_what_asks_for_more_is_not(asked, name):
    """It goes through ASGI."""
    asked.both([REQUESTS[name]])
    assert asked.taken == 0


def test_a_slow_model_is_not_asked_in_the_loop(server, monkeypatch):
    """Its requests go to threads, whatever their size."""
    monkeypatch.setattr(models, "_timed", lambda loaded: replace(loaded, inline_rows=0))
    server.serve(Slow(0.0, call=0.01))
    plain, at_once = server.both([REQUESTS["columns"]])
    assert (at_once, server.taken) == (plain, 0)


def test_a_crowd_is_bounded(server):
    """Of those who come in one turn no more are taken on than may be underway; the others are told to come again."""
    server.limits = Limits(requests=2)
    server.serve()
    said = server.crowd([post(ONE)] * 5)
    assert sorted(one[9:12] for one in said) == [b"200"] * 2 + [b"503"] * 3
    assert len(server.logged) == 2


def test_a_crowd_is_logged_in_one_write(server):
    """Each model's records go together, before any answer."""
    server.serve()
    said = server.crowd([post(ONE | {"id": f"r{n}"}) for n in range(5)])
    assert all(one.startswith(b"HTTP/1.1 200") for one in said)
    assert [len(records) for records in server.writes] == [5]


def test_what_cannot_be_logged_is_not_answered(server):
    """A full disk makes the whole crowd come again."""
    server.serve()
    server.full = True
    said = server.crowd([post(ONE)] * 3)
    assert [one[9:12] for one in said] == [b"503"] * 3
    assert all(b"retry-after" in one for one in said)


def test_a_shutdown_answers_what_came(server):
    """Who was taken is answered, then the connection ends."""
    server.serve()
    (said,) = server.crowd([post(ONE)], shutdown=True)
    assert said.startswith(b"HTTP/1.1 200")
    assert said.endswith(b"closed")


def test_an_idle_connection_ends(server):
    """After an answer the next request may take its time, but not for ever; that is no refusal."""
    server.limits = Limits(idle_seconds=5)
    server.serve()
    (said,) = server.crowd([post(ONE)], looks=[0.0, 4.0])
    assert not said.endswith(b"closed")
    (said,) = server.crowd([post(ONE)], looks=[0.0, 4.0, 6.0])
    assert said.endswith(b"closed")
    assert not server.refused


class Apart(Column):
    """A model that raises for what is below zero, among others too, as one that is asked once for a crowd."""

    def predict_proba(self, matrix):
        if (matrix[:, 0] < 0).any():
            raise ValueError("no")
        return super().predict_proba(matrix)


@pytest.mark.parametrize("amounts", [[0.25, 0.5, 0.75], [0.25, -1.0, 0.75], [0.25, "x", 0.75]])
@pytest.mark.parametrize("together", ["rows", "what is given"])
def test_a_crowd_is_predicted_together(server, monkeypatch, together, amounts):
    """Each gets its own rows' probabilities; who makes the model or the encoder raise fails alone."""

    def timed(loaded):
        return replace(loaded, rows_apart=True) if together == "rows" else replace(loaded, given=loaded.predict)

    monkeypatch.setattr(models, "_timed", timed)
    server.serve(Apart(0), candidate=Constant(0.9), percent=50)
    two = [[KEY | {"shape": [2], "data": [7, 7]}, AMOUNT | {"shape": [2], "data": [a] * 2}] for a in amounts]
    asks = [post({"id": str(number), "inputs": inputs}) for number, inputs in enumerate(two)]
    alone = [server.both([ask])[0].sent for ask in asks]
    assert server.crowd(asks) == alone
    good = [said for said, amount in zip(alone, amounts, strict=True) if type(amount) is float and amount > 0]
    assert all(said.startswith(b"HTTP/1.1 200") for said in good)
    assert len({said[9:12] for said in alone}) == (1 if len(good) == len(amounts) else 2)


def test_a_crowd_looks_up_each_its_own(server):
    """One query for all, and each key's row goes to who asked for it, also where several ask for the same."""
    server.serve(Column(1), views=[HISTORY])
    server.know("7", 0.25, "GB")
    server.know("8", 0.5, "GB")
    instant = {"parameters": {"event_time": "2011-03-01T12:00:00Z"}}
    asks = [post({"inputs": [KEY | {"data": [key]}, AMOUNT], **instant}) for key in (8, 7, 9, 8)]
    bodies = [json.loads(one.partition(b"\r\n\r\n")[2]) for one in server.crowd(asks)]
    assert [body["outputs"][0]["data"] for body in bodies if "outputs" in body] == [[0.5], [0.25], [0.5]]
    assert "no number" in bodies[2]["error"]  # nothing is known of the key, and the model gives back what it sees
