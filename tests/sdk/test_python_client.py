"""What the Python SDK does around a call: trying again, giving up, typed results."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pytest
from hatchling.build import build_wheel
from loopline_client import AsyncFeatures, BadRequest, FeatureError, Features, NotFound, Unavailable

from tests.emulators.http_server import Answer, Request, Serving

ANSWER = b'{"at":"2026-03-01T12:00:00.000000Z","entities":{"c":[1]},"features":{"v:f":[2.5]},"views":{}}'
BUSY = b'{"error":{"problem":"the store is busy","fix":"wait"}}'
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Scripted:
    """What a server does that answers with one status after the other."""

    statuses: ClassVar[list[int]] = []
    retry_after = "0"


def _answered(_: Request) -> Answer:
    status = Scripted.statuses.pop(0)
    return Answer(status, {200: ANSWER, 503: BUSY}.get(status, b"<html>"), {"retry-after": Scripted.retry_after})


@pytest.fixture
def url() -> Iterator[str]:
    """Serve; gives the URL."""
    with Serving(_answered) as server:
        yield server.url


def test_busy_twice_then_answered(url: str) -> None:
    """A service that cannot answer now is asked again."""
    Scripted.statuses = [503, 503, 200]
    with Features(url, "shop") as features:
        assert features.get_online(["v:f"], {"c": [1]}).features == {"v:f": [2.5]}
    assert Scripted.statuses == []


def test_it_waits_as_long_as_it_is_asked_to(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry-After counts."""
    monkeypatch.setattr(Scripted, "retry_after", "1")
    Scripted.statuses = [503, 200]
    began = time.monotonic()
    with Features(url, "shop") as features:
        features.get_online(["v:f"], {"c": [1]})
    assert time.monotonic() - began >= 1


def test_busy_for_ever(url: str) -> None:
    """After the last attempt the service's own words are raised."""
    Scripted.statuses = [503, 503, 200]
    with Features(url, "shop", retries=1) as features, pytest.raises(Unavailable) as failure:
        features.get_online(["v:f"], {"c": [1]})
    assert (failure.value.problem, failure.value.fix, failure.value.status) == ("the store is busy", "wait", 503)
    assert Scripted.statuses == [200]


def test_another_server(url: str) -> None:
    """An answer without our words says its status, and what to look at; it is not asked for twice."""
    Scripted.statuses = [502, 200]
    with Features(url, "shop") as features, pytest.raises(FeatureError, match="answered 502") as failure:
        features.get_online(["v:f"], {"c": [1]})
    assert failure.value.fix == "see whether the URL is that of a feature service"
    assert Scripted.statuses == [200]


def test_nobody_listens(url: str) -> None:
    """Where nothing answers the error names the URL; asynchronous calls say the same."""

    async def ask() -> None:
        async with AsyncFeatures("http://127.0.0.1:9", "shop", retries=1) as features:
            await features.get_online(["v:f"], {"c": [1]})

    with Features("http://127.0.0.1:9", "shop", retries=1) as features, pytest.raises(Unavailable) as failure:
        features.get_online(["v:f"], {"c": [1]})
    with pytest.raises(Unavailable) as other:
        asyncio.run(ask())
    for each in (failure.value, other.value):
        assert each.problem.startswith("http://127.0.0.1:9 did not answer")
        assert each.fix == "see whether the service runs"


def test_asynchronous_calls_are_tried_again_too(url: str) -> None:
    """Both clients follow the same rule."""
    Scripted.statuses = [503, 200]

    async def ask() -> bytes:
        async with AsyncFeatures(url, "shop") as features:
            return (await features.get_online(["v:f"], {"c": [1]})).raw

    assert asyncio.run(ask()) == ANSWER


def test_results_are_typed(server: str) -> None:
    """Values, states and times come as Python's types; columns, rows and Arrow say the same."""
    with Features(server, "shop") as features:
        found = features.get_online(["history:spend", "history:article"], {"customer_id": [1, 2]}, NOON)
    assert (len(found), found.at, found.entities) == (2, NOON, {"customer_id": [1, 2]})
    assert found.views["history"].status == ["present", "stale"]
    assert found.views["history"].event_time[0] == datetime(2026, 2, 28, 12, tzinfo=UTC)
    assert found.to_dict() == {
        "customer_id": [1, 2],
        "history:spend": [12.5, None],
        "history:article": ["rød vase", None],
    }
    assert found.to_dicts()[0] == {"customer_id": 1, "history:spend": 12.5, "history:article": "rød vase"}
    assert found.to_arrow().to_pylist() == found.to_dicts()


def test_rows_are_sent_in_any_form(server: str) -> None:
    """Dictionaries, columns and an Arrow table get the same features."""
    times = pa.array([NOON, NOON], pa.timestamp("us", "UTC"))
    columns = {"customer_id": [1, 2], "event_time": [NOON, NOON], "mine": ["a", "b"]}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    with Features(server, "shop") as features:
        found = [
            features.get_training_set(["history:spend"], given, NOON).to_dicts()
            for given in (columns, rows, pa.table({**columns, "event_time": times}))
        ]
        lines = features.get_training_set(["history:spend"], rows, NOON, kind="ndjson").to_arrow()
    assert found[0] == found[1] == found[2]
    assert [row["history:spend"] for row in found[0]] == lines["history:spend"].to_pylist() == [11.25, None]


def test_what_json_cannot_hold_is_not_sent(server: str) -> None:
    """A time without a zone, or a strange value, is refused before anything is sent."""
    with Features(server, "shop") as features:
        with pytest.raises(BadRequest, match="no time zone"):
            features.get_online(["history"], {"customer_id": [1]}, NOON.replace(tzinfo=None))
        with pytest.raises(BadRequest, match="nothing that JSON can hold"):
            features.get_training_set(["history"], {"customer_id": [object()]})
        with pytest.raises(BadRequest, match="64"):
            features.get_online(["history"], {"customer_id": [2**64]})


def test_a_model_names_its_training_set(server: str) -> None:
    """A model's rows come with what pins them; an unknown model does not."""
    with Features(server, "shop") as features:
        assert features.get_training_set(model="large", as_of=NOON).training_set_id.startswith("large-20260301T1200-")
        with pytest.raises(NotFound, match="no model 'small'"):
            features.get_training_set(model="small", as_of=NOON)


def test_the_client_is_light() -> None:
    """Importing it loads neither the platform nor pyarrow."""
    heavy = "import sys, loopline_client; print(sorted({'loopline', 'pyarrow', 'pandas'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_distribution_is_typed_and_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel holds the package with its marker for type checkers, and asks for two libraries."""
    monkeypatch.chdir(Path(__file__).parents[2] / "sdk" / "python")
    wheel = zipfile.ZipFile(tmp_path / build_wheel(str(tmp_path)))
    names = wheel.namelist()
    assert {"loopline_client/__init__.py", "loopline_client/py.typed"} <= set(names)
    metadata = wheel.read(next(name for name in names if name.endswith("METADATA"))).decode()
    needed = [line for line in metadata.splitlines() if line.startswith("Requires-Dist") and "extra" not in line]
    assert [re.match(r"Requires-Dist: (\w+)", line)[1] for line in needed] == ["httpx", "orjson"]
