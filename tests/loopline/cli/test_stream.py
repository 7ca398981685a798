"""``loopline stream`` as a process of its own: records that come have their features soon, and it ends when told to."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from loopline.platform_core.contracts.event_stream import Record
from loopline.platform_core.platform import Platform
from loopline.platform_core.testing.parts.ports import free_port

TEAM = """
import narwhals as nw
from loopline.platform_core.specs import Source, Team, feature_view

clicks = Source("clicks", contract="clicks.yaml", arrives="stream")
files = Source("files", contract="clicks.yaml")


@feature_view(clicks, entity="visitor", time="at", ttl_days=30)
def last_click(rows: nw.LazyFrame) -> nw.LazyFrame:
    return rows.select("visitor", "at", "price")


@feature_view(files, entity="visitor", time="at", ttl_days=30)
def last_file(rows: nw.LazyFrame) -> nw.LazyFrame:
    return rows.select("visitor", "at", "price")


team = Team("stall", __file__, features=(last_click, last_file))
"""
CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: clicks
version: 1.0.0
schema:
  - name: clicks
    properties:
      - {name: visitor, physicalName: visitor, logicalType: integer, required: true}
      - {name: at, physicalName: at, logicalType: timestamp, required: true}
      - {name: price, physicalName: price, logicalType: number, required: true, logicalTypeOptions: {minimum: 0}}
"""


@pytest.fixture
def stall(world: Any, install: Any) -> Any:
    """Install a team whose clicks arrive as a stream, in a folder."""
    install("stall", "[loopline.teams]\nstall = paper_stall:team\n", paper_stall=TEAM)
    (world.home.parent / "site-stall" / "clicks.yaml").write_text(CONTRACT)
    text = world.environment.read_text().replace(
        "bindings:\n", 'bindings:\n  event_stream: {vendor: folder, root: "${LOOPLINE_HOME}/streams"}\n'
    )
    world.environment.write_text(text.replace('clock: {replay: "${LOOPLINE_HOME}/clock"}\n', ""))
    return world


def click(stall: Any, *prices: object) -> None:
    """Publish clicks, a visitor each."""
    platform = Platform.open()
    now = datetime.now(UTC).isoformat()
    clicks = [{"visitor": number, "at": now, "price": price} for number, price in enumerate(prices)]
    records = [Record(json.dumps(one).encode(), str(one["visitor"]).encode()) for one in clicks]
    platform.event_stream.publish("stall/clicks", records)
    platform.close()


def test_once_lands_what_there_is(stall: Any) -> None:
    """It counts rows and dead letters; the views are there, online too; again it finds nothing. Files are no stream."""
    click(stall, 1, 2, -3)
    said = stall.json("stream", "stall/clicks", "--once")
    assert said == {"source": "stall/clicks", "records": 3, "rows": 2, "dead_letters": 1}
    assert stall.json("stream", "clicks", "--once")["records"] == 0
    [letter] = stall.json("dead-letters", "list", "stall/clicks")["letters"]
    assert letter["reasons"] == ["price.minimum"]
    with closing(Platform.open()) as platform:
        assert len(platform.lake.read("stall/features/last_click.v1")) == 2
    said = stall.json("stream", "stall/files", "--once", code=1)
    assert "arrives daily, not as a stream" in said["problem"]


@pytest.fixture
def running(stall: Any) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run the worker; gives its process and its metrics' port."""
    port = free_port()
    command = [Path(sys.executable).parent / "loopline", "stream", "stall/clicks", "--metrics-port", str(port)]
    process = subprocess.Popen([*map(str, command), "--output", "json"], stdout=subprocess.PIPE, text=True)
    yield process, port
    process.kill()
    process.wait(100)


def test_it_follows_until_it_is_told_to_end(stall: Any, running: tuple[subprocess.Popen[str], int]) -> None:
    """Batch after batch is counted in its metrics; SIGTERM ends it with an answer, and nothing is left."""
    process, port = running
    for count in (1, 2):
        click(stall, 5, 6, -1)
        assert waited(port, f'loopline_stream_rows_total{{source="stall/clicks"}} {2 * count}', process)
    assert waited(port, 'loopline_stream_lag_rows{source="stall/clicks",partition="0"} 0', process)
    process.send_signal(signal.SIGTERM)
    answer, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert json.loads(answer) == {"source": "stall/clicks", "records": 6, "rows": 4, "dead_letters": 2}


def waited(port: int, line: str, process: subprocess.Popen[str]) -> bool:
    """Ask for the metrics until they have the line."""
    end = time.monotonic() + 300
    while time.monotonic() < end and process.poll() is None:
        try:
            if line in httpx.get(f"http://127.0.0.1:{port}/metrics").text.splitlines():
                return True
        except httpx.TransportError:
            pass
        time.sleep(0.1)  # between two looks
    return False
