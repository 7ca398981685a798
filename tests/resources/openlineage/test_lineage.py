"""OpenLineage over HTTP and into a file, read back by a consumer that holds each event to the specification."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from loopline.platform_core import environment
from loopline.platform_core.contracts.lineage import RunEvent
from loopline.platform_core.errors import InvalidEnvironment
from loopline.platform_core.testing.http_sink import HttpSink
from loopline.platform_core.testing.lineage import COMPLETE, FAIL, START, LineageKit, Mood
from loopline.platform_core.testing.openlineage_events import checked, read
from loopline.resources.openlineage.lineage import OpenLineage


class Consumer:
    """A real HTTP server that takes OpenLineage."""

    def __init__(self, sink: HttpSink) -> None:
        self.sink = sink

    def feel(self, mood: Mood) -> None:
        self.sink.mood = mood

    def words(self) -> Sequence[str]:
        return [posted.body.decode() for posted in self.sink.posted]

    def received(self) -> Sequence[RunEvent]:
        return [read(line, "plant") for line in self.words()]


@pytest.fixture
def sink() -> Iterator[HttpSink]:
    """Run the server."""
    with HttpSink() as running:
        yield running


class TestHttp(LineageKit):
    """Every promise over HTTP."""

    @pytest.fixture
    def lineage(self, sink: HttpSink) -> OpenLineage:
        return OpenLineage(url=sink.url, namespace="plant", timeout_seconds=2)

    @pytest.fixture
    def receiver(self, sink: HttpSink) -> Consumer:
        return Consumer(sink)


def test_it_is_posted_where_marquez_takes_it_with_the_key(sink: HttpSink) -> None:
    """At the path that receivers share, as JSON; the key is no part of what can be printed."""
    lineage = OpenLineage(url=f"{sink.url}/", api_key="open-sesame")
    lineage.emit([START])
    (posted,) = sink.posted
    assert posted.path == "/api/v1/lineage"
    assert posted.headers["content-type"] == "application/json"
    assert posted.headers["authorization"] == "Bearer open-sesame"
    assert "open-sesame" not in repr(lineage)


def test_into_a_file_a_line_an_event(tmp_path: Path) -> None:
    """For a laptop, where nobody receives; what was there stays."""
    file = tmp_path / "lineage" / "events.jsonl"
    OpenLineage(file=file).emit([START, COMPLETE])
    OpenLineage(file=file).emit([FAIL])
    assert [read(line) for line in file.read_text().splitlines()] == [START, COMPLETE, FAIL]


def test_one_place_is_named() -> None:
    """Neither or both is a mistake, told with the contract's name."""
    for settings in ({}, {"url": "http://a", "file": "b"}, {"url": "ftp://a"}):
        with pytest.raises(InvalidEnvironment, match="lineage"):
            environment.bind("lineage", {"vendor": "openlineage", **settings})


@pytest.mark.parametrize(
    ("place", "value", "fault"),
    [
        (("eventType",), "DONE", "is not one of"),
        (("run", "runId"), "run 7", "is not a 'uuid'"),
        (("eventTime",), "yesterday", "is not a 'date-time'"),
        (("job", "namespace"), None, "is not of type 'string'"),
        (("outputs", 0, "rows"), 7, "'rows' was unexpected"),
        (("outputs", 0, "outputFacets", "outputStatistics", "rowCount"), "many", "is not of type 'integer'"),
        (("run", "facets", "parent", "run"), {}, "'runId' is a required property"),
        (("run", "facets", "tags", "_schemaURL"), "https://openlineage.io/spec/Tags.json#/x", "no facet is at"),
    ],
)
def test_the_consumer_notices_what_is_wrong(tmp_path: Path, place: tuple, value: object, fault: str) -> None:
    """A consumer that takes everything would prove nothing."""
    OpenLineage(file=tmp_path / "e").emit([COMPLETE])
    event = json.loads((tmp_path / "e").read_text())
    *above, last = place
    target = event
    for step in above:
        target = target[step]
    target[last] = value
    with pytest.raises(AssertionError, match=fault):
        checked(json.dumps(event))
