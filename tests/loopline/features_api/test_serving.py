"""The serving routes at their edges: limits, media types, health, OpenAPI."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
import jsonschema
import pyarrow as pa
import pytest

from loopline.features_api import serving_requests
from loopline.features_api.app import create_app
from loopline.platform_core.platform import Platform
from loopline.stories.feature_shop import NOW, fill, team
from tests.loopline.features_api.conftest import ONLINE, asked

Ask = Callable[..., httpx.Response]
ARROW = "application/vnd.apache.arrow.stream"


@pytest.fixture
def shop(empty_shop: Platform) -> Platform:
    """Open the shop of fixed features."""
    fill(empty_shop)
    return empty_shop


@pytest.fixture
def ask(shop: Platform) -> Ask:
    """Give a function that sends a request to the application."""
    return partial(asked, create_app(shop, [team]), raised=True)


def stream(table: pa.Table) -> bytes:
    """Write an Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def test_arrow_in_and_out(ask: Ask) -> None:
    """An Arrow body has its fields in the query, and comes back as Arrow with the caller's columns."""
    times = pa.array([NOW], pa.timestamp("ns", "UTC"))
    body = stream(pa.table({"customer_id": pa.array([1], pa.int32()), "event_time": times, "mine": ["x"]}))
    fields = {"team": "shop", "features": ["history:spend", "parcel:pieces"], "as_of": NOW.isoformat()}
    headers = {"content-type": ARROW, "accept": f"{ARROW}, */*"}
    answer = ask("POST", "/features/training-set", content=body, params=fields, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, ARROW)
    assert pa.ipc.open_stream(answer.content).read_all().to_pylist() == [
        {"customer_id": 1, "event_time": NOW, "mine": "x", "history:spend": 11.25, "parcel:pieces": 2}
    ]


WRONG = (
    ({"features": ["history"]}, "rows are missing"),
    ({"model": "large", "features": ["history"]}, "a model is asked for, and features"),
    ({"rows": {"customer_id": [1]}}, "neither features nor a model"),
    ({"features": ["history"], "rows": {"a": [1], "b": []}}, "the rows make no table"),
    ({"features": ["history"], "rows": {"a": [1, "x"]}}, "the rows make no table"),
    ({"features": ["history"], "rows": {"event_time": ["noon"]}}, "holds what is no time"),
    ({"features": ["history"], "rows": {"event_time": ["2026-03-01T12:00"]}}, "without a zone"),
    ({"model": "large", "as_of": 7}, "field 'as_of' is not a time"),
    ({"model": "large", "as_of": "0001-01-01T00:00:00+14:00"}, "field 'as_of' is not a time"),
    ({"features": ["history"], "rows": {"event_time": ["9999-12-31T23:59:59-12:00"]}}, "is no time in UTC"),
)


def test_wrong_training_requests(ask: Ask) -> None:
    """Each mistake is named, with what to do."""
    for fields, problem in WRONG:
        answer = ask("POST", "/features/training-set", json={"team": "shop", **fields})
        assert (problem, answer.status_code) == (problem, 400)
        assert problem in answer.json()["error"]["problem"]
        assert answer.json()["error"]["fix"]


def test_an_instant_that_nothing_can_hold(ask: Ask) -> None:
    """Outside the years 1 to 9999 in UTC there is no time, in JSON or in Arrow: that is said, and is no defect.

    The first and the last instant can be asked about.
    """
    for at in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"):
        answer = ask("POST", "/features/online", json=ONLINE | {"at": at})
        assert answer.status_code == 400
        assert answer.json()["error"]["problem"] == "field 'at' is not a time in UTC, such as 2026-01-31T12:00:00Z"
    times = pa.array([253_402_300_800_000_000, -62_135_596_800_000_001], pa.int64()).cast(pa.timestamp("us", "UTC"))
    rows = stream(pa.table({"customer_id": [1, 1], "event_time": times}))
    path = "/features/training-set?team=shop&features=history:spend"
    answer = ask("POST", path, content=rows, headers={"content-type": ARROW})
    assert answer.status_code == 400
    assert "outside the years 1 to 9999" in answer.json()["error"]["problem"]
    for at in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"):
        assert ask("POST", "/features/online", json=ONLINE | {"at": at}).status_code == 200
        rows = {"customer_id": [1], "event_time": [at]}
        asked = {"team": "shop", "features": ["history:spend"], "rows": rows}
        assert ask("POST", "/features/training-set", json=asked).status_code == 200


def test_a_key_with_a_nul_is_nobody_elses(ask: Ask) -> None:
    """It is another key than what stands before the NUL."""
    answer = ask("POST", "/features/online", json=ONLINE | {"entities": {"customer_id": ["1\0x", "1"]}, "at": None})
    assert [states["status"] for states in answer.json()["views"].values()] == [["missing", "present"]]


def test_a_form_that_nobody_reads_or_writes(ask: Ask) -> None:
    """Bytes that are no Arrow stream are refused as such, and media types beside Arrow and NDJSON are not written."""
    path = "/features/training-set?team=shop&features=history"
    answer = ask("POST", path, content=b"x", headers={"content-type": ARROW})
    assert answer.status_code == 400
    assert answer.json()["error"]["problem"].startswith("the body is no Arrow stream")
    answer = ask("POST", "/features/training-set", json={"team": "shop"}, headers={"accept": "text/csv"})
    assert (answer.status_code, answer.json()["error"]["problem"]) == (406, "nothing is written as 'text/csv'")


def test_a_body_that_is_too_long(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request has a limit in bytes."""
    monkeypatch.setattr(serving_requests, "MOST_BYTES", 100)
    assert ask("POST", "/features/online", json=ONLINE).status_code == 200
    answer = ask("POST", "/features/online", json=ONLINE | {"entities": {"customer_id": list(range(100))}})
    assert (answer.status_code, answer.json()["error"]["fix"]) == (413, "ask for fewer rows at once")


def test_a_store_that_is_away(ask: Ask, shop: Platform, tmp_path: Path) -> None:
    """Without its store the service says so with 503, and when to ask again; health says the same."""
    assert ask("GET", "/health").json() == {"status": "ok"}
    shop.online_store.path = str(tmp_path)
    shop.online_store.close()
    for answer in (ask("POST", "/features/online", json=ONLINE), ask("GET", "/health")):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["error"].keys() == {"problem", "fix"}


def test_openapi_tells_both_routes(ask: Ask) -> None:
    """Bodies that are read by hand are told all the same."""
    paths = ask("GET", "/openapi.json").json()["paths"]
    online = paths["/features/online"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert online["properties"].keys() == {"team", "features", "model", "entities", "at"}
    assert ARROW in paths["/features/training-set"]["post"]["requestBody"]["content"]


def test_openapi_tells_which_fields_go_together(ask: Ask) -> None:
    """What the schema refuses, the service refuses, and what it takes is never refused for its form."""
    paths = ask("GET", "/openapi.json").json()["paths"]
    features, entities = {"features": ["history:spend"]}, {"entities": {"customer_id": [1]}}
    rows, model = {"rows": {"customer_id": [1], "event_time": ["2020-01-02T00:00:00Z"]}}, {"model": "large"}
    as_of = {"as_of": "2020-01-03T00:00:00Z"}
    bodies = {
        "/features/online": [
            (features | entities, True),
            (model | entities, True),
            (features | model | entities, False),
            (entities, False),
            (features | entities | as_of, False),
        ],
        "/features/training-set": [
            (features | rows | as_of, True),
            (model | as_of, True),
            (model | {"version": "1"}, True),
            (features, False),
            (model | rows, False),
            (model | as_of | {"version": "1"}, False),
            (features | rows | {"version": "1"}, False),
        ],
    }
    for path, tried in bodies.items():
        schema = paths[path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        for body, good in tried:
            sent = {"team": "shop", **body}
            assert jsonschema.Draft202012Validator(schema).is_valid(sent) == good, (path, body)
            answer = ask("POST", path, json=sent)
            assert (answer.status_code != 400) == good, (path, body, answer.text)


def test_a_page_of_another_site_reads_and_announces_nothing(ask: Ask) -> None:
    """Not by a name that it points at this machine, and not by a form; programs say nothing of where they come from."""
    rebound = ask("POST", "/features/online", json=ONLINE, headers={"host": "evil.example"})
    assert rebound.status_code == 403
    assert "evil.example" in rebound.json()["error"]["problem"]
    register = "/teams/shop/registration?by=ceo"
    assert ask("POST", register, headers={"origin": "http://evil.example"}).status_code == 403
    assert ask("POST", register, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert ask("POST", "/features/online", json=ONLINE).status_code == 200
