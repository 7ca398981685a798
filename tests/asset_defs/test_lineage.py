"""What made what, told by the sensor from the runs of a real instance of Dagster to a real receiver of OpenLineage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import dagster as dg
import narwhals as nw
import pytest
from deltalake import DeltaTable

from loopline.asset_defs.keys import CYCLE_JOB, CYCLE_TAG, INGEST_JOB, key
from loopline.asset_defs.platform_resource import PlatformResource
from loopline.asset_defs.sensors.lineage_sensor import _of
from loopline.asset_defs.team import team_definitions
from loopline.platform_core.contracts.lineage import Check, Dataset, Field, Origin, RunEvent
from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.foundation.names import AssetName
from loopline.platform_core.observability.columns import Columns
from loopline.platform_core.observability.places import place_of
from loopline.platform_core.specs import Team
from loopline.platform_core.specs.views.features import FeatureView
from loopline.platform_core.testing.fakes.online_store import InMemoryOnlineStore
from loopline.platform_core.testing.parts.http_sink import HttpSink
from loopline.platform_core.testing.parts.openlineage_events import read
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.folder.event_source import FolderEventSource
from loopline.resources.kafka.event_stream import KafkaEventStream
from loopline.resources.openlineage.lineage import OpenLineage
from loopline.resources.pyspark.engine import PysparkEngine

SENSOR = "loopline_lineage_sensor"
ARRIVING = (Field("Who", "integer"), Field("At", "timestamp"))
CAME = "tiny/arrivals/events"
EVENTS = (
    Field("who", "integer", (Origin(CAME, "Who", same=True),)),
    Field("at", "timestamp", (Origin(CAME, "At", same=True),)),
)
READ = (Field("who", "integer"), Field("at", "timestamp"))
"""Where a column came from is told of what is written."""


class Bound(PlatformResource):
    """The platform of a test whose environment binds a lineage."""

    def binds(self, contract: str) -> bool:
        return contract == "lineage"


@pytest.fixture
def sink() -> Iterator[HttpSink]:
    """Run a receiver."""
    with HttpSink() as running:
        yield running


@pytest.fixture
def told(driver, sink, tmp_path):
    """Let the driver's platform tell its lineage, on an instance that is on disk; gives ticks' events."""
    lineage = {"lineage": OpenLineage(url=sink.url, timeout_seconds=2), "online_store": InMemoryOnlineStore()}
    driver.platform.environment.bindings.update(lineage)
    seen = FeatureView(
        "seen", driver.team.source("events"), "who", "at", lambda rows: rows.with_columns(times=nw.lit(1))
    )
    labels = replace(driver.team.models[0].labels, compute=lambda rows: rows.with_columns(left=nw.lit(1.0)))
    models = tuple(replace(model, features=(seen,), labels=labels) for model in driver.team.models)
    driver.team = replace(driver.team, models=models)
    driver.definitions = team_definitions(driver.team, driver.definitions.resources["platform"])
    (tmp_path / "dagster").mkdir()
    with dg.instance_for_test(temp_dir=str(tmp_path / "dagster")) as instance:
        driver.instance = instance
        telling = team_definitions(driver.team, Bound())

        def tick() -> list[RunEvent]:
            before = len(sink.posted)
            context = dg.build_sensor_context(
                instance=instance,
                cursor=driver.cursors.get(SENSOR),
                definitions=telling,
                resources={"platform": driver.platform},
            )
            done = telling.get_repository_def().get_sensor_def(SENSOR).evaluate_tick(context)
            driver.cursors[SENSOR] = done.cursor
            return [read(posted.body.decode()) for posted in sink.posted[before:]]

        yield tick


def ingest(driver, name: str = "1.csv", content: str = "Who,At\n1,2011-02-01\nx,2011-02-02\n") -> str:
    """Land a file of one good and one bad row, as the sensor's run does; gives the run's id."""
    driver.deliver(name, content)
    return driver.execute(INGEST_JOB).run_id


def only(events, what, job):
    """Return the one event of a kind about a job."""
    (found,) = [event for event in events if event.what == what and event.run.job == job]
    return found


def test_an_environment_without_lineage_has_no_sensor(driver):
    """Nothing is looked at where nobody listens."""
    assert SENSOR not in {sensor.name for sensor in driver.definitions.get_repository_def().sensor_defs}


def test_the_environment_file_decides(tmp_path: Path):
    """The contract is looked for in the file, and its vendor is not loaded."""
    for number, (binding, found) in enumerate((("lineage: {vendor: nobody_has_it}", True), ("lake: {}", False))):
        file = tmp_path / f"{number}.yaml"
        file.write_text(f"bindings:\n  {binding}\n")
        assert PlatformResource(environment=str(file)).binds("lineage") is found
    assert not PlatformResource(environment=str(tmp_path / "none.yaml")).binds("lineage")


def test_a_landing_and_its_views_are_told_with_what_they_read_and_wrote(driver, told):
    """File → raw and dead letters → view: datasets with columns, versions and rows; each a part of Dagster's run."""
    run_id = ingest(driver)
    events = told()
    landing = only(events, "COMPLETE", "tiny.land__events")
    assert landing.inputs == (Dataset(CAME, ARRIVING),)
    assert landing.outputs[1] == Dataset("tiny/raw/events", EVENTS, "0", 1)
    assert (landing.outputs[0].name, landing.outputs[0].rows) == ("tiny/dead_letters/events", 1)
    view = only(events, "COMPLETE", "tiny.seen_features")
    assert view.inputs == (Dataset("tiny/raw/events", READ),)
    assert (view.outputs[0].name, view.outputs[0].rows, view.outputs[0].version) == ("tiny/features/seen", 1, "0")
    assert {view.parent, landing.parent} == {only(events, "COMPLETE", f"tiny.{INGEST_JOB}").run}
    assert view.parent.run_id == UUID(run_id)


def test_each_run_begins_once_and_ends_once(driver, told):
    """OpenLineage asks for one START and one end a run, the end no earlier than the start."""
    ingest(driver)
    events = told()
    runs = {event.run for event in events}
    assert len(runs) == 4
    for run in runs:
        began, ended = [event for event in events if event.run == run]
        assert (began.what, ended.what) == ("START", "COMPLETE")
        assert began.at <= ended.at


def test_checks_are_told_as_a_run_that_reads_what_they_looked_at(driver, told):
    """OpenLineage has assertions of inputs only; which failed is told, and their words, which may hold rows, not."""
    ingest(driver)
    told()
    ingest(driver, "2.csv", "Who\n1\n")
    checks = only(told(), "COMPLETE", "tiny.land__events.checks")
    ((looked_at),) = checks.inputs
    assert (looked_at.name, checks.outputs) == ("tiny/raw/events", ())
    said = {check.name: check for check in looked_at.checks}
    assert said["contract"] == Check("contract", passed=False)
    assert said["volume"] == Check("volume", passed=True)


def test_a_table_is_named_so_that_others_open_it(driver, told, tmp_path):
    """The name of a table in the lake is where Delta's readers find it; a job of another tool joins up there."""
    driver.platform.environment.bindings["lake"] = DeltaLake(root=str(tmp_path / "lake"))
    ingest(driver)
    events = told()
    written = only(events, "COMPLETE", "tiny.land__events").outputs[1]
    assert (written.name, written.place) == ("tiny/raw/events", str(tmp_path / "lake/tiny/raw/events"))
    assert DeltaTable(written.place).to_pyarrow_table()["who"].to_pylist() == [1]
    assert only(events, "COMPLETE", "tiny.land__events.checks").inputs[0].place == written.place
    view = only(events, "COMPLETE", "tiny.seen_features")
    assert [each.place for each in view.inputs] == [written.place]
    assert DeltaTable(view.outputs[0].place).to_pyarrow_table().num_rows == 1


def test_where_things_arrive_and_lie(driver, tmp_path):
    """Folders and topics are known to others too; what lies nowhere, or is another team's business, has no place."""
    platform, bound = driver.platform, driver.platform.environment.bindings
    bound |= {
        "lake": DeltaLake(root=str(tmp_path / "lake")),
        "event_source": FolderEventSource(root=str(tmp_path / "x/../in")),
    }
    source = replace(driver.team.source("events"), arrives="stream")
    model = driver.team.models[0]
    model = replace(
        model, features=(replace(model.features[0], source=source),), labels=replace(model.labels, source=source)
    )
    streamed = replace(driver.team, models=(model,))

    def place(stage: str, name: str, team: Team = driver.team, of: str = "tiny") -> str:
        return place_of(platform, team, AssetName(of, stage, name))

    assert place("arrivals", "events") == str(tmp_path / "in/tiny/events")
    assert place("arrivals", "events", streamed) == ""
    bound["event_stream"] = KafkaEventStream(bootstrap_servers="broker:9092")
    assert place("arrivals", "events", streamed) == "kafka://broker:9092/tiny.events"
    assert place("features", "seen") == str(tmp_path / "lake/tiny/features/seen__v1")
    assert place("raw", "events", of="other") == str(tmp_path / "lake/other/raw/events")
    assert place("arrivals", "events", of="other") == place("features", "gone") == place("model", "one") == ""


def test_a_run_of_checks_alone_begins_and_ends(driver, told):
    """Each run has a START and an end, also one that makes nothing; the START is told before anything was checked."""
    midway: list[RunEvent] = []

    @dg.asset_check(asset=key("tiny", "raw", "events"), blocking=True)
    def sound() -> dg.AssetCheckResult:
        midway.extend(told())
        return dg.AssetCheckResult(passed=False)

    alone = dg.Definitions(asset_checks=[sound], jobs=[dg.define_asset_job("look", dg.AssetSelection.checks(sound))])
    look = alone.resolve_job_def("look")
    assert not look.execute_in_process(instance=driver.instance, raise_on_error=False).success
    assert [(event.what, event.run.job) for event in midway] == [("START", "tiny.look")]
    events = told()
    assert [(event.what, event.run.job) for event in events] == [
        ("START", "tiny.events_raw_sound.checks"),
        ("COMPLETE", "tiny.events_raw_sound.checks"),
        ("FAIL", "tiny.look"),
    ]
    assert events[1].inputs == (Dataset("tiny/raw/events", checks=(Check("sound", passed=False, blocks=True),)),)


def test_a_check_of_a_step_that_is_tried_again_is_told_once(driver, told):
    """What it found last counts."""

    @dg.multi_asset_check(specs=[dg.AssetCheckSpec("sound", asset=key("tiny", "raw", "events"))])
    def again(context):
        tried = context.retry_number
        yield dg.AssetCheckResult(passed=tried > 0)
        if not tried:
            raise dg.RetryRequested

    alone = dg.Definitions(asset_checks=[again], jobs=[dg.define_asset_job("look", dg.AssetSelection.checks(again))])
    assert alone.resolve_job_def("look").execute_in_process(instance=driver.instance).success
    (looked_at,) = only(told(), "COMPLETE", "tiny.again.checks").inputs
    assert looked_at.checks == (Check("sound", passed=True),)


def test_what_was_told_is_not_told_again(driver, told):
    """The cursor goes on behind it; the next run is told by itself."""
    ingest(driver)
    first = told()
    assert told() == []
    ingest(driver, "2.csv", "Who,At\n2,2011-02-03\n")
    second = told()
    assert len(first) == len(second) == 8
    assert {event.run for event in first}.isdisjoint(event.run for event in second)


def test_a_receiver_that_is_gone_misses_nothing(driver, told, sink):
    """The tick fails and its cursor stays; told again, the events have the same ids."""
    ingest(driver)
    sink.mood = "busy"
    with pytest.raises(StoreUnavailable):
        told()
    sink.mood = "well"
    events = told()
    assert len(events) == 8
    driver.cursors.pop(SENSOR)
    assert told() == events


def test_a_step_that_fails_is_told_without_its_words(driver, told):
    """The kind of error and where to look; what it says may hold rows."""
    cycle = driver.open_cycle("one", "first")
    done = driver.execute(CYCLE_JOB, tags={CYCLE_TAG: cycle}, asset_selection=[key("tiny", "training_set", "one")])
    assert not done.success
    events = told()
    failed = only(events, "FAIL", "tiny.one_training_set")
    assert failed.problem == "NotFound in step tiny__one_training_set; Dagster's run has the words"
    assert failed.tags == {"cycle": cycle}
    assert [each.name for each in failed.inputs] == ["tiny/features/seen"]
    assert [each.name for each in failed.outputs] == ["tiny/training_set/one"]
    assert only(events, "FAIL", f"tiny.{CYCLE_JOB}").tags == {"cycle": cycle}


def test_a_training_set_names_the_versions_that_it_read(driver, told):
    """Of the labels' source too, which is no parent in the graph: what the set is pinned to was read."""
    ingest(driver)
    first, second = told(), ingest(driver, "2.csv", "Who,At\n2,2011-02-03\n")
    assert first
    assert second
    told()
    cycle = driver.open_cycle("one", "first")
    driver.execute(CYCLE_JOB, tags={CYCLE_TAG: cycle}, asset_selection=[key("tiny", "training_set", "one")])
    events = [event for event in told() if event.run.job == "tiny.one_training_set"]
    assert [event.what for event in events] == ["START", "COMPLETE"]
    assert [(each.name, each.version) for each in events[1].inputs] == [
        ("tiny/features/seen", "1"),
        ("tiny/raw/events", "1"),
    ]
    assert events[1].outputs[0].rows == 2


def test_another_team_s_runs_are_not_told(driver, told):
    """Each location tells its own; a run that makes nothing of the team says nothing."""

    @dg.asset(key=["other", "raw", "events"])
    def theirs(): ...

    dg.materialize([theirs], instance=driver.instance)
    assert told() == []


@pytest.mark.parametrize(
    ("location", "own"), [(None, True), ("__repository__@tiny", True), ("__repository__@other", False)]
)
def test_a_run_of_another_location_is_not_looked_into(driver, location, own):
    """By the name that Dagster gives a run's repository; a run in this process has none, its assets say whose it is."""
    assert _of(driver.team, location) is own


def test_columns_of_views_and_training_sets_come_from_the_registry(driver, told):
    """Once a view is registered its features are known by type; a training set has those of its views."""
    ingest(driver)
    view = only(told(), "COMPLETE", "tiny.seen_features").outputs[0]
    who, at = Origin("tiny/raw/events", "who", same=True), Origin("tiny/raw/events", "at", same=True)
    entity, time, times = view.fields
    assert (entity, time) == (Field("who", "", (who,)), Field("event_time", "timestamp", (at,)))
    assert (times.name, {origin.dataset for origin in times.origins}) == ("times", {"tiny/raw/events"})
    columns = Columns(driver.platform, driver.team)
    assert [field.name for field in columns.of(AssetName("tiny", "training_set", "one"))] == [
        "who",
        "event_time",
        "times",
        "label",
    ]
    assert columns.of(AssetName("tiny", "drift", "one")) == columns.of(AssetName("tiny", "raw", "gone")) == ()


def test_an_engine_that_starts_slowly_is_not_started_for_origins(driver, told):
    """A sensor begins no session of Spark: keys and times have origins, features have none."""
    ingest(driver)
    told()
    driver.platform.environment.bindings["engine"] = PysparkEngine(remote="sc://nobody.invalid:1")
    entity, time, times = Columns(driver.platform, driver.team).of(AssetName("tiny", "features", "seen"))
    assert [len(field.origins) for field in (entity, time, times)] == [1, 1, 0]


def test_a_training_set_s_columns_come_from_views_and_its_label_from_raw_rows(driver, told):
    """A feature is the view's; of the label it is known which columns its function reads."""
    ingest(driver)
    told()
    fields = {
        field.name: field
        for field in Columns(driver.platform, driver.team).of(AssetName("tiny", "training_set", "one"))
    }
    assert fields["times"].origins == (Origin("tiny/features/seen", "times", same=True),)
    assert {origin.dataset for origin in fields["label"].origins} == {"tiny/raw/events"}
