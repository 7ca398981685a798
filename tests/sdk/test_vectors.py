"""One question, one answer, byte for byte: in process, over HTTP, through the Python SDK; on SQLite and on Redis."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from types import ModuleType
from typing import Any

import httpx
import orjson
import pytest
from loopline_client import AsyncFeatures, FeatureError, Features, wire
from loopline_client.training import NDJSON

from loopline.features_api.service import Service
from loopline.platform_core.errors import LooplineError
from loopline.platform_core.features.online import fetch_online, read_online
from loopline.platform_core.features.selection import FeatureNames
from loopline.platform_core.platform import Platform
from loopline.stories import feature_shop

HEADERS = {"content-type": "application/json"}


def test_the_committed_vectors_are_current(feature_vectors: ModuleType) -> None:
    """What the script makes today is what is committed; the remedy is 'python scripts/feature_vectors.py'."""
    for name, text in feature_vectors.vectors().items():
        assert feature_vectors.FOLDER.joinpath(name).read_text(encoding="utf-8") == text


def test_in_process(shop: Platform, online_call: dict[str, Any]) -> None:
    """The platform's own functions give the bytes of the answer, or both words of the error; asynchronously too."""
    call, service = online_call["call"], Service(shop, (feature_shop.team,))
    entities, at = call["entities"], instant(call["at"])
    try:
        views = FeatureNames(shop, service.team(call["team"])).ask(call["features"], call["model"])
        found = read_online(shop, views, entities, at).encode()
        awaited = asyncio.run(fetch_online(shop, views, entities, at)).encode()
    except LooplineError as error:
        found = awaited = words(error)
    assert found.decode() == awaited.decode() == online_call["response"]


def test_over_http(server: str, online: dict[str, Any]) -> None:
    """The server answers with these bytes, whatever it is sent."""
    answer = httpx.post(f"{server}/features/online", content=online["request"], headers=HEADERS)
    assert (answer.text, answer.status_code) == (online["response"], online["status"])
    assert answer.headers["content-type"] == "application/json"


def test_training_over_http(server: str, training: dict[str, Any]) -> None:
    """The server answers with these rows."""
    url, headers = f"{server}/features/training-set", {**HEADERS, "accept": NDJSON}
    answer = httpx.post(url, content=training["request"], headers=headers)
    assert (answer.text, answer.status_code) == (training["response"], training["status"])


def test_python_sends_these_bytes(online_call: dict[str, Any]) -> None:
    """The SDK sends the bytes of the vector, which the Java SDK's own test is held to as well."""
    call = online_call["call"]
    post = wire.online(call["team"], call["features"], call["model"], call["entities"], instant(call["at"]))
    assert post.content.decode() == online_call["request"]


def test_python(server: str, online_call: dict[str, Any]) -> None:
    """The SDK hands the answer on as it came, writes the same again, and raises with both words."""
    call = online_call["call"]
    with Features(server, call["team"]) as features:
        try:
            found = features.get_online(call["features"], call["entities"], instant(call["at"]), model=call["model"])
            answer = 200, found.raw, found.encode()
        except FeatureError as error:
            answer = error.status, words(error), words(error)
    told = online_call["response"].encode()
    assert answer == (online_call["status"], told, told)


def test_python_asynchronous(server: str, feature_vectors: ModuleType) -> None:
    """All calls at once get each its own answer or error."""
    vectors = json.loads(feature_vectors.FOLDER.joinpath("online.json").read_text(encoding="utf-8"))
    calls = [each for each in vectors if each["call"] and each["call"]["team"] == "shop"]

    async def ask() -> list[Any]:
        async with AsyncFeatures(server, "shop") as features:
            asked = (
                features.get_online(call["features"], call["entities"], instant(call["at"]), model=call["model"])
                for call in (each["call"] for each in calls)
            )
            return await asyncio.gather(*asked, return_exceptions=True)

    answers = [each if isinstance(each, FeatureError) else each.raw for each in asyncio.run(ask())]
    texts = [words(each) if isinstance(each, FeatureError) else each for each in answers]
    assert [text.decode() for text in texts] == [vector["response"] for vector in calls]


def test_python_training(server: str, training: dict[str, Any]) -> None:
    """Rows come back alike as lines of JSON and as Arrow, however they are sent."""
    call = training["call"]
    rows = call["rows"] and {**call["rows"], **times(call["rows"])}
    asked = {
        "features": call["features"],
        "rows": rows,
        "as_of": instant(call["as_of"]),
        "model": call["model"],
        "version": call["version"],
    }
    with Features(server, call["team"]) as features:
        if training["status"] != 200:
            with pytest.raises(FeatureError) as failure:
                features.get_training_set(**asked)
            answer = words(failure.value).decode(), failure.value.status
            assert answer == (training["response"], training["status"])
            return
        lines = features.get_training_set(**asked, kind="ndjson")
        arrow = features.get_training_set(**asked)
    assert lines.raw.decode() == training["response"]
    assert lines.training_set_id == arrow.training_set_id
    assert [with_text(row) for row in arrow.to_dicts()] == lines.to_dicts()


def instant(text: str | None) -> datetime | None:
    """Read a time of a vector."""
    return None if text is None else datetime.fromisoformat(text)


def times(rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Make event times of a vector's text."""
    return {name: [instant(each) for each in rows[name]] for name in ("event_time",) if name in rows}


def with_text(row: dict[str, Any]) -> dict[str, Any]:
    """Write a row's times as JSON has them."""
    return {name: wire._text(value) if isinstance(value, datetime) else value for name, value in row.items()}


def words(error: FeatureError | LooplineError) -> bytes:
    """Write an error as the server answers with it."""
    return orjson.dumps({"error": {"problem": error.problem, "fix": error.fix}})
