"""Records are scored from stream to stream as the server would answer them; what goes wrong is said once."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from loopline.platform_core.contracts.event_stream import Record
from loopline.platform_core.contracts.serving import DesiredState, Served
from loopline.platform_core.errors import CommitConflict, NotFound, StoreUnavailable, Unsupported
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.runtime import retention
from loopline.platform_core.runtime.answering.inference import Inference, ModelState
from loopline.platform_core.runtime.answering.routes import Route
from loopline.platform_core.runtime.prediction_log import log_table
from loopline.platform_core.runtime.wire.protocol import decode
from loopline.platform_core.scoring import stream_records
from loopline.platform_core.scoring.stream import StreamScorer
from loopline.platform_core.targets import Output
from loopline.platform_core.testing.engines.engine_tables import at
from loopline.platform_core.testing.fakes.event_stream import InMemoryEventStream
from loopline.platform_core.testing.fakes.serving import InMemoryServing
from tests.platform_core.three_classes import Three, chances, installed, package_of

REF = ModelRef("shop", "large_orders")


class RootedServing(InMemoryServing):
    """An endpoint with a folder for its log, as the local one has."""

    root: str


@pytest.fixture
def idle_shop(new_shop: Callable[..., Any], tmp_path: Path) -> Any:
    """Give a shop with two customers online, and streams, of which no version is live."""
    shop = new_shop(event_stream=InMemoryEventStream(), serving=RootedServing(root=str(tmp_path / "serving")))
    shop.land((1, 1.0, 1.25, 31.0, "tray"), (2, 2.0, 2.25, 7.5, "clock"), hour=3)
    return shop


@pytest.fixture
def shop(idle_shop: Any) -> Any:
    """Let a LightGBM model of it be live."""
    idle_shop.serve()
    return idle_shop


def join(shop: Any, limit: int = 500, notes: list[str] | None = None, group: str = "g") -> StreamScorer:
    """Join the group of a shop's requests."""
    member, noted = shop.platform.event_stream.join("shop/ask", group), [] if notes is None else notes
    return StreamScorer(shop.platform, REF, "shop/ask", "shop/say", member, noted.append, limit)


@pytest.fixture
def scorer() -> Iterator[Callable[..., StreamScorer]]:
    """Give ``join``; who has joined is closed at the end."""
    with ExitStack() as stack:
        yield lambda *shop, **how: stack.enter_context(closing(join(*shop, **how)))


def ask(shop: Any, *asked: Any, key: bytes | None = None) -> None:
    """Publish requests."""
    raw = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in asked]
    shop.platform.event_stream.publish("shop/ask", [Record(value, key) for value in raw])


def request(customer: int, amount: float = 5.0, **more: Any) -> dict[str, Any]:
    """Make a request."""
    return {"id": f"c{customer}", "entities": {"customer": customer}, "features": {"amount": amount}} | more


def rows(shop: Any, stream: str) -> list[dict[str, Any]]:
    """Read a stream."""
    return shop.platform.event_stream.read(stream, {}, 10_000).to_pylist()


def said(shop: Any) -> list[dict[str, Any]]:
    """Read the answers, ordered by id."""
    return sorted((json.loads(row["value"]) for row in rows(shop, "shop/say")), key=lambda each: str(each["id"]))


def logged(shop: Any) -> list[dict[str, Any]]:
    """Read the prediction log, ordered by keys."""
    table, _ = log_table.read_after(Path(shop.platform.serving.root), REF.dotted, None)
    return sorted(table.to_pylist(), key=lambda row: (row["keys"], row["request_id"]))


@pytest.mark.parametrize("kind", ["lightgbm", "onnx"])
def test_an_answer_is_what_the_server_says(kind: str, idle_shop: Any, scorer: Any) -> None:
    """Probability, label, version and cycle, under the request's key; logged with features as served."""
    shop, served = idle_shop, idle_shop.serve(kind)
    moment = at(4).isoformat()
    ask(shop, *(request(customer, event_time=moment) for customer in (1, 2, 99)), key=b"same")
    scoring = scorer(shop)
    assert scoring.turn(0) == 3
    inference = Inference(shop.platform.online_store, lambda *_: None)
    inference.models[REF.dotted] = ModelState(Route.build(DesiredState(REF.dotted, 1, served), None))
    for answer, customer in zip(said(shop), (1, 2, 99), strict=True):
        inputs = [("customer", "INT64", customer), ("amount", "FP64", 5.0)]
        tensors = [{"name": n, "shape": [1], "datatype": kind_, "data": [v]} for n, kind_, v in inputs]
        body = json.dumps({"inputs": tensors, "parameters": {"event_time": moment}}).encode()
        expected = asyncio.run(inference.infer(REF.dotted, decode(body)))
        assert answer["probability"] == expected.outputs["probability"][0]
        assert answer["label"] == expected.outputs["label"][0]
        assert (answer["version"], answer["cycle"], answer["model"]) == ("1", "cycle-1", REF.dotted)
        assert (answer["id"], answer["entities"], answer["event_time"]) == (
            f"c{customer}",
            {"customer": customer},
            moment,
        )
    assert {row["key"] for row in rows(shop, "shop/say")} == {b"same"}
    records = logged(shop)
    assert sorted(row["request_id"] for row in records) == sorted(answer["request_id"] for answer in said(shop))
    assert [(row["role"], row["status"], row["missing"]) for row in records] == [
        ("stable", 200, []),
        ("stable", 200, []),
        ("stable", 200, ["shop.spending.v1"]),
    ]


def test_bad_records_are_put_aside_with_their_reason(shop: Any, scorer: Any) -> None:
    """They keep key and bytes, and nothing of them is logged; the good ones beside them are answered."""
    bad = [
        b"\xff",
        b"[]",
        b'{"entities": 7}',
        b"",
        {"entities": {"customer": 1}},
        request(1, colour=1, event_time="noon"),
    ]
    bad += [request(1, features={"amount": "much"}), request(1, features={"amount": 1, "size": 2}), {"entities": {}}]
    bad += [request(1, id=2**64), request(-(2**63) - 1), request(1, features={"amount": 10**400})]
    ask(shop, *bad, request(1), key=b"k")
    scoring = scorer(shop)
    assert scoring.turn(0) == len(bad) + 1
    assert [answer["id"] for answer in said(shop)] == ["c1"]
    dead = rows(shop, "shop/ask.dead")
    assert [row["value"] for row in dead] == [
        each if isinstance(each, bytes) else json.dumps(each).encode() for each in bad
    ]
    reasons = [json.loads(row["headers"])["reason"] for row in dead]
    words = [*["no request"] * 4, "amount", "noon", "text", "size", "customer"]
    words += [f"{field}: a whole number beyond 64 bits" for field in ("id", "customer")]
    for reason, word in zip(reasons, [*words, "'amount' holds a number beyond float64"], strict=True):
        assert word in reason
    assert len(logged(shop)) == 1
    assert (scoring.counted["shop/say"], scoring.counted["shop/ask.dead"]) == (1, len(bad))


def test_large_numbers_that_fit_and_any_time_are_scored(shop: Any, scorer: Any) -> None:
    """All 64 bits serve as id and key; a larger feature is the float that the server would take it for.

    A stream may be ahead of the platform's clock, as when history is replayed.
    """
    large = request(2**64 - 1, 10**30, id=-(2**63))
    ask(shop, large, *(request(year, event_time=f"{year}-03-01T12:00:00Z") for year in (1971, 2111)))
    scorer(shop).turn(0)
    assert [answer["id"] for answer in said(shop)] == [-(2**63), "c1971", "c2111"]
    assert said(shop)[0]["entities"] == {"customer": 2**64 - 1}
    assert any("1e30" in row["features"].replace("+", "") for row in logged(shop))


@pytest.mark.parametrize("error", [TypeError, ValueError, OverflowError])
def test_what_nobody_foresaw_in_a_record(
    error: type[Exception], shop: Any, scorer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is put aside with what was raised, and its neighbours are answered: a restart would only meet it again."""

    def as_request(asked: Any, *more: Any) -> Any:
        if asked.id == "c1":
            raise error("odd")
        return stream_records.as_request(asked, *more)

    monkeypatch.setattr("loopline.platform_core.scoring.stream.as_request", as_request)
    ask(shop, request(1), request(2))
    scoring = scorer(shop)
    scoring.turn(0)
    (dead,) = rows(shop, "shop/ask.dead")
    assert f"{error.__name__}: odd" in json.loads(dead["headers"])["reason"]
    assert [answer["id"] for answer in said(shop)] == ["c2"]


def test_a_commit_that_fails_leaves_one_record_in_the_log(shop: Any, scorer: Any) -> None:
    """What was scored is scored again and published once; the log knows it already, also after a restart."""
    ask(shop, *map(request, range(20)))
    scoring = join(shop)
    scoring.member.commit = _refuse  # type: ignore[method-assign]
    with pytest.raises(CommitConflict):
        scoring.turn(0)
    assert said(shop) == []
    scoring.close()
    successor = scorer(shop, limit=7)
    while successor.turn(0):
        pass
    assert Counter(answer["id"] for answer in said(shop)) == dict.fromkeys((f"c{n}" for n in range(20)), 1)
    assert set(Counter(row["request_id"] for row in logged(shop)).values()) == {1}
    assert len(logged(shop)) == 20


def _refuse(_: Any) -> None:
    raise CommitConflict("overtaken", "take again")


def test_a_store_that_is_away_is_waited_for(shop: Any, scorer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is committed, nothing is put aside; the records are answered once it is back."""
    ask(shop, *map(request, range(3)))
    notes: list[str] = []
    scoring = scorer(shop, notes=notes)
    fetch, store = type(shop.platform.online_store).fetch, type(shop.platform.online_store)

    async def away(*_: Any) -> Any:
        monkeypatch.setattr(store, "fetch", fetch)
        raise StoreUnavailable("the store is away", "wait", delay_seconds=0.01)

    monkeypatch.setattr(store, "fetch", away)
    monkeypatch.setattr("loopline.platform_core.scoring.stream.LOOK_SECONDS", 0.01)
    scoring.run(threading.Event(), once=True)
    assert len(notes) == 1
    assert "the store is away" in notes[0]
    assert [answer["id"] for answer in said(shop)] == ["c0", "c1", "c2"]
    assert rows(shop, "shop/ask.dead") == []


def test_who_works_once_waits_for_its_partitions(shop: Any, scorer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group may need longer to let a member in than nothing may come afterwards."""
    ask(shop, request(0))
    scoring = scorer(shop)
    take, waits, nothing = scoring.member.take, iter(range(9)), rows_of_none(shop)
    monkeypatch.setattr(scoring.member, "take", lambda *given: take(*given) if next(waits, None) is None else nothing)
    monkeypatch.setattr("loopline.platform_core.scoring.stream.LOOK_SECONDS", 0.0)
    scoring.run(threading.Event(), once=True)
    assert [answer["id"] for answer in said(shop)] == ["c0"]


def rows_of_none(shop: Any) -> Any:
    """Return no records, as they are taken from a stream."""
    return shop.platform.event_stream.read("shop/ask", {}, 9).slice(0, 0)


def test_a_look_up_that_outlives_its_turn(shop: Any, scorer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another one failed it is stopped: its record is scored again, and stands in the log once."""
    store = type(shop.platform.online_store)
    fetch, calls = store.fetch, Counter[str]()

    async def failing(self: Any, asks: Any) -> Any:
        calls["all"] += 1
        if calls["all"] == 1:
            raise StoreUnavailable("the store is away", "wait", delay_seconds=0)
        await asyncio.sleep({2: 0.05, 5: 0.2}.get(calls["all"], 0))  # the store is slow: that is the case
        return await fetch(self, asks)

    monkeypatch.setattr(store, "fetch", failing)
    ask(shop, request(1), request(2))
    scoring = scorer(shop)
    with pytest.raises(StoreUnavailable):
        scoring.turn(0)
    scoring._start_over()
    assert scoring.turn(0) == 2
    ask(shop, request(3))
    assert scoring.turn(0) == 1
    assert [answer["id"] for answer in said(shop)] == ["c1", "c2", "c3"]
    assert Counter(row["request_id"] for row in logged(shop)) == dict.fromkeys(
        (answer["request_id"] for answer in said(shop)), 1
    )


def test_the_file_of_a_scorer_that_waits_stays(shop: Any) -> None:
    """However long nobody asked; once the scorer has gone its files go like others, and so does what a kill leaves."""
    root = Path(shop.platform.serving.root)

    def trimmed() -> list[str]:
        _, cursor = log_table.read_after(root, REF.dotted, None)
        return retention.trim(root, REF.dotted, [cursor], keep_seconds=7 * 86_400, now=time.time() + 8 * 86_400)

    scoring = join(shop)
    ask(shop, request(1))
    scoring.turn(0)
    assert trimmed() == []
    ask(shop, request(2))
    scoring.turn(0)
    assert len(logged(shop)) == 2
    scoring.close()
    assert len(trimmed()) == 1
    (root / "stream" / "observed" / "killed").mkdir()
    join(shop).close()
    assert list((root / "stream" / "observed").iterdir()) == []


def test_the_live_version_is_followed(
    idle_shop: Any, scorer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A promotion is seen by the next turn; a version that cannot be loaded leaves the one before scoring."""
    monkeypatch.setattr("loopline.platform_core.scoring.stream.LOOK_SECONDS", 0)
    shop, notes = idle_shop, list[str]()
    with pytest.raises(NotFound, match="no version of shop/large_orders is live"):
        scorer(shop).turn(0)
    scoring = scorer(shop, notes=notes, group="other")
    for version, kind in (("1", "lightgbm"), ("2", "onnx")):
        shop.serve(kind, version)
        ask(shop, request(int(version)))
        scoring.turn(0)
    broken = tmp_path / "3"
    broken.mkdir()
    (broken / "manifest.json").write_text("{}")
    shop.live(Served("3", broken, "cycle-3"))
    ask(shop, request(3))
    scoring.turn(0)
    assert [(answer["id"], answer["version"]) for answer in said(shop)] == [("c1", "1"), ("c2", "2"), ("c3", "2")]
    assert "version 3 cannot be loaded" in notes[0]


def test_a_model_that_raises(shop: Any, scorer: Any) -> None:
    """The record is put aside, and the failure is in the log as the server would have it."""
    scoring = scorer(shop)
    scoring._follow()
    route = scoring._inference.models[REF.dotted].route
    object.__setattr__(route.stable.model, "predict", lambda _: 1 / 0)
    ask(shop, request(1))
    scoring.turn(0)
    (dead,) = rows(shop, "shop/ask.dead")
    assert "ZeroDivisionError" in json.loads(dead["headers"])["reason"]
    assert [(row["status"], row["score"]) for row in logged(shop)] == [(500, None)]


def test_a_serving_without_a_log(new_shop: Callable[..., Any], scorer: Any) -> None:
    """Answers that nobody could look at later are not given."""
    shop = new_shop(event_stream=InMemoryEventStream())
    with pytest.raises(Unsupported, match="prediction log"):
        scorer(shop)


def test_a_row_of_several_numbers(idle_shop: Any, scorer: Any, tmp_path: Path) -> None:
    """Each output stands by its name, one of three values as a list; the log holds all of them and their reading."""
    shop = idle_shop
    with installed(Three):
        shop.live(Served("1", package_of(tmp_path / "package", "customer"), "cycle-1"))
        ask(shop, request(1, 9.0))
        scoring = scorer(shop)
        assert scoring.turn(0) == 1
    (answer,), (record,) = said(shop), logged(shop)
    assert (answer["label"], answer["probabilities"]) == ("blå", chances(9.0))
    assert (record["score"], record["raw"]) == (0.9, chances(9.0))


class SaysCycle(Three):
    """One of its outputs has a name that an answer has already."""

    outputs = Output("cycle", "BYTES"), Output("probabilities", "FP64", 3)

    def answer(self, raw: Any) -> dict[str, list[Any]]:
        """Name it so."""
        return {"cycle": ["a"] * len(raw), "probabilities": raw}


def test_an_output_that_would_hide_what_else_is_said(idle_shop: Any, scorer: Any, tmp_path: Path) -> None:
    """An answer on a stream names model, version and cycle; no output takes their place."""
    with installed(SaysCycle):
        idle_shop.live(Served("1", package_of(tmp_path / "package", "customer", SaysCycle()), "cycle-1"))
        scoring = scorer(idle_shop)
        with pytest.raises(Unsupported, match=r"has outputs cycle.*name them otherwise"):
            scoring.turn(0)
