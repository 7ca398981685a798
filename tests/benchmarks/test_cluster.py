"""The benchmark on a cluster: who answers first is told by the answer itself, and a slower side is not called kept."""

from __future__ import annotations

import json
import time

import pytest

from benchmarks.cluster.asker import Asker
from benchmarks.cluster.compare import section
from tests.emulators.http_server import Answer, Request, Serving, as_json

SOON_SECONDS = 0.4
ROWS = {
    "Job: answer": (1.3, 1.0, "s"),
    "request: p50": (1.0, 2.0, "ms"),
    "request: CPU a request": (100.0, 900.0, "µs"),
    "new replica: answers": (4.0, 8.0, "s"),
    "canary: answers": (1.0, 8.0, "s"),
    "chart: cores at rest": (0.4, 0.02, "cores"),
}


@pytest.fixture
def server():
    """Answer as version 1, and as version 2 after a moment; the first answers say nothing of themselves."""
    began = time.time()

    def answered(request: Request) -> Answer:
        assert json.loads(request.body) == {"inputs": []}
        version = {"version": "2" if time.time() > began + SOON_SECONDS else "1"}
        return as_json(200, {"parameters": version if time.time() > began + SOON_SECONDS / 2 else None})

    with Serving(answered) as found:
        yield found.url, began


def test_an_asker_tells_when_the_version_that_it_waits_for_answered(server, tmp_path):
    """Not when another one did; and it asks again and again while nobody listens."""
    url, began = server
    tmp_path.joinpath("body").write_text('{"inputs": []}\n')
    asker = Asker(("env",), tmp_path / "body")
    try:
        asker.ask(url, "2")
        assert asker.answered() > began + SOON_SECONDS
        asker.ask(url)
        assert asker.answered() > began + SOON_SECONDS
    finally:
        asker.close()


def test_sides_stand_beside_each_other_and_are_held_to_their_bounds():
    """A Job that takes 1.3 times as long as kubectl's is said to be too slow, a faster request to be kept."""
    text = str(section([(what, *row) for what, row in ROWS.items()], 5))
    assert "| Job: answer | 1.30 s | 1.00 s | 1.30 |" in text
    assert "ours / kubectl: 1.30, at most 1.2: **not kept**" in text
    assert "| request: CPU a request | 100 µs | 900 µs | 0.11 |" in text
    assert "through the gateway, p50, ours / KServe's: 0.50, at most 1: kept" in text
    assert "| chart: cores at rest | 0.40 cores | 0.02 cores | 20.00 |" in text
    assert "the chart at rest, in cores: 0.40, at most 0.3: **not kept**" in text
