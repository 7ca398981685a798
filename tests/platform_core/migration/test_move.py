"""A laptop's installation moves to an object store, PostgreSQL and Redis, and its loop goes on there."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from loopline.cli import loopline
from loopline.platform_core import turn
from loopline.platform_core.errors import ContractBroken, StoreUnavailable
from loopline.platform_core.features.materialization import materialize
from loopline.platform_core.loop import history
from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.ledger.entry_kinds import PINNED
from loopline.platform_core.training import training_set
from tests.platform_core.migration.conftest import NOW, REF, Home, everything, move, new_home, parcels_team, turned
from tests.s3_server import KEY, SECRET, S3Server

if TYPE_CHECKING:
    from tests.conftest import RedisServer

CLOUD = """
name: cloud
bindings:
  lake: {{vendor: delta, root: "{place}/lake", storage_options: {options}}}
  online_store: {{vendor: redis, url: "{redis}", prefix: "{prefix}:", timeout_seconds: 10}}
  event_source: {{vendor: folder, root: "${{LOOPLINE_HOME}}/landing"}}
  engine: {{vendor: polars}}
  registry: {{vendor: mlflow, tracking_uri: "sqlite:///${{LOOPLINE_HOME}}/mlflow.db", artifacts: "{place}/mlflow"}}
  compute: {{vendor: in_process}}
  serving: {{vendor: local, root: "${{LOOPLINE_HOME}}/serving", port: 0}}
  drift_report: {{vendor: evidently}}
ledger: "{ledger}"
clock: {{replay: "{clock}"}}
"""
STATES = {"promoted", "rejected"}


@pytest.fixture
def stores(
    s3_server: S3Server, redis_server: RedisServer, new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """Give empty places on an object store, Redis and PostgreSQL; MLflow finds the first by variables."""
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)  # MLflow's, which keeps the credentials that it found first
    for name, value in (("ACCESS_KEY_ID", KEY), ("SECRET_ACCESS_KEY", SECRET), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", s3_server.url)
    options = json.dumps({**s3_server.options_in_file, "aws_allow_http": "true"})
    lake = {"place": s3_server.place(), "options": options}
    return {**lake, "redis": redis_server.url, "prefix": uuid.uuid4().hex, "ledger": new_database()}


@pytest.fixture
def cloud(source: Home, stores: dict[str, str], tmp_path: Path, clock: Path, empty_registry: Path) -> Home:
    """Give an empty environment on them."""
    file = tmp_path / "cloud.yaml"
    file.write_text(CLOUD.format(clock=clock, **stores))
    return new_home(tmp_path / "cloud", file, empty_registry)


def migrate(source: Home, target: Home, *more: str, code: int = 0) -> Any:
    """Run the command and return the one object on its stdout."""
    where = ["--from", str(source.file), "--to", str(target.file), "--home", str(source.folder)]
    arguments = ["migrate", *where, "--to-home", str(target.folder), *more, "--output", "json"]
    result = CliRunner().invoke(loopline, arguments)
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def test_a_laptop_moves_to_a_cloud(source: Home, cloud: Home, tmp_path: Path) -> None:
    """A dry run counts, a run copies, a second one finds all there; every row, byte, number and answer is the same."""
    before = everything(source, tmp_path)
    planned = migrate(source, cloud, "--dry-run")["moved"]
    assert [(t["table"], t["newest"]) for t in planned["tables"]] == [
        ("parcels/features/parcel_shape.v1", 1),
        ("parcels/features/sender_history.v1", 1),
        ("parcels/quality/parcels", 1),
        ("parcels/raw/parcels", 1),
    ]
    assert sum(t["files"] for t in planned["tables"]) == len(before["lake"])
    assert sum(t["bytes"] for t in planned["tables"]) == sum(map(len, before["lake"].values()))
    assert [t["pinned"] for t in planned["tables"]] == [[0, 1], [0, 1], [], [0, 1]]
    assert all(t["copied_files"] == t["files"] for t in planned["tables"])
    assert [(m["model"], m["versions"], m["copied"]) for m in planned["models"]] == [(REF.dotted, 2, 2)]
    assert {r["table"]: r["rows"] for r in planned["ledger"]} == {k: len(v) for k, v in before["ledger"].items()}
    assert [(v["view"], v["keys"]) for v in planned["views"]] == [("parcels/sender_history", 50)]
    nothing = everything(cloud, tmp_path)
    assert (nothing["lake"], nothing["versions"], any(nothing["ledger"].values())) == ({}, [], False)

    done = migrate(source, cloud)
    assert done["moved"] == planned
    assert everything(cloud, tmp_path) == before == everything(source, tmp_path)
    again = migrate(source, cloud)["moved"]
    assert sum(t["copied_files"] for t in again["tables"]) == 0
    assert sum(m["copied"] for m in again["models"]) + sum(r["copied"] for r in again["ledger"]) == 0
    assert [r["sha256"] for r in again["ledger"]] == [r["sha256"] for r in done["moved"]["ledger"]]
    _the_loop_goes_on(source, cloud)


def _the_loop_goes_on(source: Home, cloud: Home) -> None:
    here, there = source.open(), cloud.open()
    team = parcels_team()
    model = team.model(REF.model)
    pinned = [training_set.from_json(entry.details) for entry in there.ledger.entries(kinds=[PINNED])]
    assert [set(each.tables.values()) for each in pinned] == [{0}, {1}]
    for each in pinned:  # bit for bit, or it raises
        rebuilt = training_set.rows(there, team, model, each)
        assert rebuilt.equals(training_set.rows(here, team, model, each))
    assert [line.text for line in history.story(there.ledger, REF)] == [
        line.text for line in history.story(here.ledger, REF)
    ]
    live = deployments.deployment(there.ledger, REF)
    assert live is not None
    assert (live.stable.version, {c.state for c in cycles.cycles(there.ledger, REF)}) == ("1", STATES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOOPLINE_HOME", str(cloud.folder))  # the training opens the environment by its file
        assert turn.deploy(turned(there, "at the new place")).version == "3"
    assert [version.version for version in there.registry.versions(REF.dotted)] == ["1", "2", "3"]
    assert len(there.ledger.entries()) > len(here.ledger.entries())
    for platform in (here, there):
        platform.close()


def test_a_store_that_hangs_is_told_and_the_move_goes_on(
    source: Home, tmp_path: Path, clock: Path, own_s3_server: S3Server, target: Home
) -> None:
    """In the midst of the lake; what was there is compared and passed over."""
    options = {**own_s3_server.options_in_file, "aws_allow_http": "true", "timeout": "1s", "retry_timeout": "1s"}
    lake = f'{{vendor: delta, root: "{own_s3_server.place()}/lake", storage_options: {json.dumps(options)}}}'
    target.file.write_text(target.file.read_text().replace('{vendor: delta, root: "${LOOPLINE_HOME}/lake"}', lake))
    steps: list[str] = []

    def stop_at_the_first_log(what: str) -> None:
        if "_delta_log" in what and not steps:
            steps.append(what)
            own_s3_server.stop()

    with pytest.raises(StoreUnavailable, match=r"the lake at s3://|s3://.* cannot be reached"):
        move(source, target, stop_at_the_first_log)
    own_s3_server.go_on()
    moved = move(source, target)
    assert 0 < sum(table.copied_files for table in moved.tables) < sum(table.files for table in moved.tables)
    assert everything(target, tmp_path) == everything(source, tmp_path)


def test_a_changed_bit_is_found_and_named(source: Home, target: Home) -> None:
    """In a table's file, in its log, and in a version's package."""
    move(source, target)
    lake = target.folder / "lake"
    data = next(lake.rglob("*.parquet"))
    log = next(lake.rglob("00000000000000000001.json"))
    packages = target.folder.rglob("package/manifest.json")
    package = min(packages, key=lambda file: file.stat().st_mtime_ns)  # versions move in their order
    for file, name in ((data, data.name), (log, log.name), (package, "late version 1 .*package/manifest.json")):
        content = file.read_bytes()
        file.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
        with pytest.raises(ContractBroken, match=name):
            move(source, target)
        file.write_bytes(content)
    assert not any(table.copied_files for table in move(source, target).tables)


def test_an_online_row_that_differs_is_counted(own_source: Home, target: Home) -> None:
    """The source lost a row: the target holds what the lake does, and says whose answer is another."""
    here = own_source.open()
    (row,) = here.online_store.read([("parcels.sender_history.v1", ["7"])])[0]
    assert row is not None
    here.online_store.drop("parcels.sender_history.v1")
    (view,) = move(own_source, target).views
    assert (view.keys, view.differing) == (50, 50)
    (online,) = (view for view in parcels_team().views if view.served == "online")
    assert materialize.refill(here, parcels_team(), online) == 50
    assert move(own_source, target).views[0].differing == 0
    assert here.clock.now() == NOW
    here.close()
