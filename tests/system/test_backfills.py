"""What a person backfills in Dagster's own UI, under its real daemon: days of scores, days of features, raw rows again.

All goes through the GraphQL that the UI speaks. The tests build on each other.
"""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from loopline.platform_core.foundation.names import ModelRef, raw_table, scores_table
from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.loop.deployments.deployments import deployment
from loopline.platform_core.specs import Drift
from loopline.up.app import App

WEB = True
REF = ModelRef("mill", "jams")
DAYS = ("2024-05-01", "2024-05-02", "2024-05-03", "2024-05-04")
A_DAY = 144
VIEW = "mill/features/wheel_weight.v1"
BACKFILL = """
mutation ($params: LaunchBackfillParams!) {launchPartitionBackfill(backfillParams: $params) {
  __typename ... on LaunchBackfillSuccess {backfillId} ... on PythonError {message}
  ... on InvalidSubsetError {message} ... on UnauthorizedError {message}}}"""
STATE = """
query ($id: String!) {partitionBackfillOrError(backfillId: $id) {
  __typename ... on PartitionBackfill {status runs {runId status tags {key value}}}}}"""
CANCEL = """
mutation ($id: String!) {cancelPartitionBackfill(backfillId: $id) {
  __typename ... on PythonError {message} ... on UnauthorizedError {message}}}"""
ENDED = {"COMPLETED", "COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED"}


def wait(ready: Any, what: str, seconds: float = 240) -> Any:
    """Wait until something is there, and return it."""
    give_up = time.monotonic() + seconds
    while not (found := ready()):
        assert time.monotonic() < give_up, f"{what} did not come in {seconds:.0f} s"
        time.sleep(0.2)  # between two looks
    return found


def begin(app: App, days: tuple[str, ...] = DAYS) -> str:
    """Ask for a backfill of days of scores, as the button does."""
    params = {"assetSelection": [{"path": ["mill", "jams_scores"]}], "partitionNames": list(days), "tags": []}
    begun = app.dagster.ask(BACKFILL, params=params)["launchPartitionBackfill"]
    assert begun["__typename"] == "LaunchBackfillSuccess", begun
    return str(begun["backfillId"])


def state(app: App, backfill: str) -> dict[str, Any]:
    """Return a backfill's status and runs."""
    found: dict[str, Any] = app.dagster.ask(STATE, id=backfill)["partitionBackfillOrError"]
    return found


def ended(app: App, backfill: str) -> dict[str, Any]:
    """Wait for the end of a backfill."""
    found: dict[str, Any] = wait(
        lambda: now if (now := state(app, backfill))["status"] in ENDED else None, f"the end of backfill {backfill}"
    )
    return found


def scored(app: App) -> Counter[str]:
    """Count the scores of each request; each row of one is there once."""
    rows = app.platform.lake.read(scores_table(*REF), columns=["request_id", "row"]).to_pylist()
    assert len({(row["request_id"], row["row"]) for row in rows}) == len(rows)
    return Counter(row["request_id"] for row in rows)


def launched(app: App, job: str, *stages: str, **config: Any) -> str:
    """Materialize some assets of a job, as the launchpad does."""
    return app.dagster.launch("mill", job, asset_keys=[("mill", stage) for stage in stages], run_config=config)


@pytest.fixture(scope="module")
def live(app: App) -> App:
    """Let the first version be live."""
    wait(lambda: app.platform.lake.version(VIEW) is not None, "features")
    cycle = cycles.open_cycle(app.platform.ledger, REF, Drift(), "first", "first", datetime.now(UTC), force=True)
    wait(lambda: cycles.cycle(app.platform.ledger, cycle.cycle_id).state == "promoted", "the first version")
    return app


def test_days_of_scores_are_backfilled_while_others_work(live: App) -> None:
    """Each day is a run and is scored once; raw rows and features that are materialized meanwhile stay as they are."""
    before = live.platform.lake.version(raw_table("mill", "loads"))
    backfill = begin(live)
    raw = [launched(live, "loopline_ingest", "loads_raw", "loads_dead_letters") for _ in range(2)]
    assert ended(live, backfill)["status"] == "COMPLETED_SUCCESS"
    assert [live.dagster.wait(run) for run in raw] == ["SUCCESS", "SUCCESS"]
    assert live.platform.lake.version(raw_table("mill", "loads")) == before
    version = deployment(live.platform.ledger, REF).stable.version
    wanted = [min(A_DAY, 480 - A_DAY * place) for place in range(len(DAYS))]
    assert scored(live) == {f"batch-{day}-{version}": rows for day, rows in zip(DAYS, wanted, strict=True)}


def test_the_same_days_again_add_nothing(live: App) -> None:
    """What was said stays said, and the backfill succeeds."""
    before = scored(live)
    assert ended(live, begin(live))["status"] == "COMPLETED_SUCCESS"
    assert scored(live) == before


def test_a_backfill_leaves_places_to_others(live: App) -> None:
    """Its days wait for each other; a run that somebody needs now does not wait behind them."""
    days = tuple(f"2024-06-{day:02d}" for day in range(1, 21))
    backfill = begin(live, days)
    wait(lambda: len(state(live, backfill)["runs"]) == len(days), "a run for each day")
    other = launched(live, "loopline_ingest", "loads_raw", "loads_dead_letters")
    assert live.dagster.wait(other) == "SUCCESS"
    waiting = [run for run in state(live, backfill)["runs"] if run["status"] == "QUEUED"]
    assert waiting, "the run that came last waited for all days before it"
    cancelled = live.dagster.ask(CANCEL, id=backfill)["cancelPartitionBackfill"]
    assert cancelled["__typename"] == "CancelBackfillSuccess"
    assert ended(live, backfill)["status"] == "CANCELED"
    assert ended(live, begin(live, days[:2]))["status"] == "COMPLETED_SUCCESS"  # whoever tries again is not in its way


def test_days_of_features_are_computed_again_by_config(live: App) -> None:
    """Nothing differs, so nothing is added; a day that is none is refused with what to write."""
    rows = live.platform.lake.read(VIEW).num_rows
    asked = {"ops": {"mill__wheel_weight_features": {"config": {"since": DAYS[0], "until": DAYS[1]}}}}
    assert live.dagster.wait(launched(live, "loopline_ingest", "wheel_weight_features", **asked)) == "SUCCESS"
    assert live.platform.lake.read(VIEW).num_rows == rows
    asked = {"ops": {"mill__wheel_weight_features": {"config": {"since": "May"}}}}
    assert live.dagster.wait(launched(live, "loopline_ingest", "wheel_weight_features", **asked)) == "FAILURE"


def test_nothing_is_left_waiting(live: App) -> None:
    """No run is queued, and no cycle is open."""
    wait(lambda: not live.dagster.runs(statuses=["QUEUED", "STARTING", "STARTED", "CANCELING"]), "an empty queue")
    assert cycles.open_cycles(live.platform.ledger) == []
