"""OpenLineage over HTTP and into a file, read back by a consumer that holds each event to the specification."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from loopline.platform_core import environment
from loopline.platform_core.contracts.lineage import RunEvent
from loopline.platform_core.errors import InvalidEnvironment
from loopline.platform_core.testing.lineage import COMPLETE, FAIL, START, LineageKit, Mood
from loopline.platform_core.testing.parts.http_sink import HttpSink
from loopline.platform_core.testing.parts.openlineage_events import checked, read
from loopline.resources.openlineage.lineage import OpenLineage
from loopline.resources.openlineage.naming import named

SPEND = ("outputs", 0, "facets", "columnLineage", "fields", "spend")
ASSERTIONS = ("inputs", 0, "inputFacets", "dataQualityAssertions", "assertions")


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


class TestHttp(LineageKit):
    """Every promise over HTTP."""

    tested_on = "strict fake: an HTTP receiver"

    @pytest.fixture
    def lineage(self, sink: HttpSink) -> OpenLineage:
        return OpenLineage(url=sink.url, namespace="plant", timeout_seconds=0.8)

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
        ((*SPEND, "inputFields", 0, "field"), None, "is not of type 'string'"),
        ((*SPEND, "inputFields", 0, "column"), "price", "'column' was unexpected"),
        ((*ASSERTIONS, 0, "success"), "yes", "is not of type 'boolean'"),
        ((*ASSERTIONS, 0, "assertion"), 1, "is not of type 'string'"),
        (("outputs", 0, "facets", "symlinks", "identifiers", 0, "type"), 0, "is not of type 'string'"),
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


@pytest.mark.parametrize(
    ("place", "namespace", "name"),
    [
        ("s3://lake/raw/orders", "s3://lake", "raw/orders"),
        ("s3a://lake/raw/orders", "s3://lake", "raw/orders"),
        ("gs://lake/raw/orders", "gs://lake", "raw/orders"),
        ("abfss://lake@acme.dfs.core.windows.net/raw/orders", "abfss://lake@acme.dfs.core.windows.net", "raw/orders"),
        ("hdfs://names:8020/raw/orders", "hdfs://names:8020", "/raw/orders"),
        ("kafka://broker:9092/shop.orders", "kafka://broker:9092", "shop.orders"),
        ("/var/lake/raw/orders", "file", "/var/lake/raw/orders"),
        ("file:///var/lake/raw/orders", "file", "/var/lake/raw/orders"),
        ("", "plant", "shop/raw/orders"),
    ],
)
def test_a_dataset_is_named_by_where_it_lies(place: str, namespace: str, name: str) -> None:
    """As the specification names it for each kind of storage, so that other tools' jobs on it join up."""
    assert named("plant", "shop/raw/orders", place) == (namespace, name)


def test_the_words_of_an_event(tmp_path: Path) -> None:
    """Names by place, the platform's name as symlink, columns' origins by the inputs' names, checks as assertions."""
    OpenLineage(file=tmp_path / "e", namespace="plant").emit([COMPLETE])
    event = checked((tmp_path / "e").read_text())
    (raw, model), (view,) = event["inputs"], event["outputs"]
    assert (raw["namespace"], raw["name"]) == ("s3://lake", "shop/raw/orders")
    assert (model["namespace"], model["name"]) == ("plant", "shop/model/late")
    assert "symlinks" not in model["facets"]
    assert (view["namespace"], view["name"]) == ("file", "/lake/shop/history")
    other = {"namespace": "plant", "name": "shop/features/history", "type": "TABLE"}
    assert view["facets"]["symlinks"]["identifiers"] == [other]
    price, customer = view["facets"]["columnLineage"]["fields"]["spend"]["inputFields"]
    assert (price["namespace"], price["name"], price["field"]) == ("s3://lake", "shop/raw/orders", "price")
    kinds = [(one["type"], one.get("subtype")) for each in (price, customer) for one in each["transformations"]]
    assert kinds == [("INDIRECT", None), ("DIRECT", "IDENTITY")]
    said = [(one["assertion"], one["success"], one["severity"]) for one in _assertions(raw) + _assertions(model)]
    assert said == [("contract", True, "warn"), ("nulls", False, "warn"), ("gates", False, "error")]


def _assertions(one: dict) -> list[dict]:
    return one["inputFacets"]["dataQualityAssertions"]["assertions"]
