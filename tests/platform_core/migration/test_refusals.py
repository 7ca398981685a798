"""What is in the way of a move is told by name with what to do, and nothing is half done silently."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from loopline.cli import loopline
from loopline.platform_core.contracts.lake import Lake
from loopline.platform_core.contracts.serving import DesiredState, Served
from loopline.platform_core.errors import LooplineError, Refused, Unsupported
from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.ledger.ledger import Entry, Ledger
from loopline.platform_core.migration import ledger_rows
from loopline.platform_core.migration.move import Move
from loopline.platform_core.migration.tables import files_of
from loopline.platform_core.migration.versions import refuse_unable
from loopline.platform_core.platform import Platform
from loopline.platform_core.testing.fakes.lake import InMemoryLake
from loopline.platform_core.testing.fakes.lake_files import InMemoryLakeFiles
from loopline.platform_core.testing.fakes.registry import InMemoryRegistry
from loopline.platform_core.testing.fakes.serving import InMemoryServing
from loopline.platform_core.testing.lake import numbered
from loopline.resources.delta.lake import DeltaLake
from loopline.up import lock
from tests.platform_core.migration.conftest import (
    NOW,
    REF,
    Home,
    everything,
    install,
    land,
    move,
    parcels_team,
    raw_rows,
)

Told = type[LooplineError]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, clock: Path, empty_registry: Path) -> Home:
    """Let rows land, and let the ledger say that a version is live: what is in the way rests on nothing trained."""
    return install(tmp_path_factory.mktemp("untrained"), clock, empty_registry, _happen)


def _happen(platform: Platform) -> None:
    for half in range(2):
        land(platform, slice(half * 750, (half + 1) * 750))
    package = platform.home / "packages" / REF.dotted / "1"
    package.mkdir(parents=True)
    package.joinpath("manifest.json").write_text('"none"')
    live = deployments.Deployment(REF, 0, Served("1", package, "c"), None, 0)
    with platform.ledger.writing(REF) as connection:
        deployments.write(connection, live, Entry(deployments.CHANGED, NOW, *REF, "c", "1"))
    platform.close()


def refused(source: Home, target: Home) -> str:
    """Move and return why it was refused."""
    with pytest.raises(Refused) as told:
        move(source, target)
    return str(told.value)


def command(source: Home, target: Home, *more: str) -> Any:
    """Run the command."""
    where = ["--from", str(source.file), "--to", str(target.file), "--home", str(source.folder)]
    return CliRunner().invoke(loopline, ["migrate", *where, *more, "--output", "json"])


def test_what_is_under_way_must_end(own_source: Home, target: Home) -> None:
    """A cycle that is open; it is said by the dry run too, and nothing is copied."""
    here = own_source.open()
    cycle = cycles.open_cycle(here.ledger, REF, parcels_team().model("late").drift, "x", "in the way", NOW, force=True)
    told = refused(own_source, target)
    assert f"cycle {cycle.cycle_id} is open" in told
    assert "loopline cycle end" in told
    assert not target.folder.joinpath("lake").exists()
    there = target.open()
    assert [each.partition(" is open")[0] for each in Move(here, there, ()).count().in_the_way] == [
        f"cycle {cycle.cycle_id}"
    ]
    cycles.close_cycle(here.ledger, cycle.cycle_id, "failed", "done with", NOW)
    for platform in (here, there):
        platform.close()


def test_answers_that_are_not_in_the_lake_are_counted(source: Home, target: Home) -> None:
    """They would be left behind."""
    here, there, serving = source.open(), target.open(), InMemoryServing()
    package = source.folder / "packages" / REF.dotted / "1"
    serving.apply(DesiredState(REF.dotted, 1, Served("1", package, "c")))
    for n in range(3):
        serving.answer(REF.dotted, str(n), {"1": 0.5})
    here.environment.bindings["serving"] = serving  # type: ignore[index]
    with pytest.raises(Refused, match="3 answered rows of parcels/late are in the prediction log and not in the lake"):
        Move(here, there, ()).run()
    for platform in (here, there):
        platform.close()


def test_neither_home_may_be_at_work(source: Home, target: Home) -> None:
    """A platform that runs in the source's home or in the target's refuses the command, and not a dry run."""
    for home in (source, target):
        with lock.only_one(home.folder):
            done = command(source, target, "--to-home", str(target.folder))
            assert (done.exit_code, json.loads(done.stdout)["error"]) == (1, "Refused")
            assert str(home.folder) in json.loads(done.stdout)["problem"]
            assert command(source, target, "--to-home", str(target.folder), "--dry-run").exit_code == 0


def test_a_home_that_has_read_a_log_is_not_the_target_s(own_source: Home, target: Home) -> None:
    """The place in the source's prediction log would be taken for one in the target's."""
    spool = own_source.folder / "spool" / REF.dotted
    spool.mkdir(parents=True)
    done = command(own_source, target, "--dry-run")
    spool.rmdir()
    spool.parent.rmdir()
    assert done.exit_code == 1, done.output
    assert "--to-home" in json.loads(done.stdout)["problems"][0]


def test_a_target_that_was_at_work_is_refused(source: Home, target: Home) -> None:
    """What it has of its own is named: an entry of the ledger, a table's file."""
    move(source, target)
    there = target.open()
    there.ledger.record(Entry("model.retired", NOW, *REF, reason="by mistake"))
    assert "(model.retired) is not one of the source's" in refused(source, target)
    there.lake.append("parcels/raw/parcels", raw_rows().slice(0, 1))
    told = refused(source, target)
    assert "table 'parcels/raw/parcels' has" in told
    assert "files at the target that the source has not" in told
    there.close()


def test_a_ledger_of_another_installation_is_refused(tmp_path: Path) -> None:
    """As soon as one entry is another; one that is how the source's begins is gone on with."""
    here, there = (Ledger.open(f"sqlite:///{tmp_path}/{name}.db") for name in ("here", "there"))
    for ledger, reasons in ((here, "abc"), (there, "ab")):
        for reason in reasons:
            ledger.record(Entry("model.retired", NOW, *REF, reason=reason))
    with pytest.raises(Refused, match="entry 1 of the target's ledger"):  # recorded at another instant
        ledger_rows.run(here, there, print)
    empty = Ledger.open(f"sqlite:///{tmp_path}/empty.db")
    counted = ledger_rows.count(here, empty)
    assert [(rows.table, rows.rows, rows.copied) for rows in counted if rows.rows] == [
        ("entries", 3, 3),
        ("audit_entries", 3, 3),
    ]
    assert ledger_rows.run(here, empty, print) == counted
    here.record(Entry("model.retired", NOW, *REF, reason="d"))
    assert ledger_rows.run(here, empty, print)[0].copied == 1
    assert [entry.entry_id for entry in empty.entries()] == [1, 2, 3, 4]
    assert empty.record(Entry("model.retired", NOW, *REF)) == 5
    for ledger in (here, there, empty):
        ledger.close()


def test_a_source_that_goes_on_is_noticed(own_source: Home, target: Home, tmp_path: Path) -> None:
    """The move is refused in the end; run again it copies what is new alone."""
    here = own_source.open()

    def lands(what: str) -> None:
        if what == "ledger cycles":
            here.lake.append("parcels/raw/parcels", raw_rows().slice(0, 5))

    with pytest.raises(Refused, match="the source went on meanwhile: table parcels/raw/parcels"):
        move(own_source, target, lands)
    copied = {table.table: table.copied_files for table in move(own_source, target).tables}
    assert copied == {
        "parcels/features/parcel_shape.v1": 0,
        "parcels/features/sender_history.v1": 0,
        "parcels/raw/parcels": 2,  # the rows, and their commit
    }
    assert everything(target, tmp_path) == everything(own_source, tmp_path)
    here.close()


class OtherFiles(InMemoryLakeFiles):
    """Files that nobody else reads."""

    form = "rows"


class OtherLake(InMemoryLake):
    """A lake of such files."""

    def files(self) -> OtherFiles:
        """Give them."""
        return OtherFiles(self)


class NoFiles(InMemoryLake):
    """A lake that gives none."""

    can = frozenset()
    files = Lake.files


class StaysPut(InMemoryRegistry):
    """A registry that carries nothing."""

    can = frozenset()


def test_vendors_that_cannot_say_what_to_do_instead(tmp_path: Path) -> None:
    """A lake without files, lakes of other files, registries that carry no version."""
    delta = DeltaLake(root=str(tmp_path))
    delta.append("t/raw/a", numbered(1))
    with pytest.raises(Unsupported, match="versions included"):
        files_of(delta, NoFiles())
    with pytest.raises(Unsupported, match="delta files cannot be moved to one of rows files"):
        files_of(delta, OtherLake())
    with pytest.raises(Unsupported, match="the target's registry, StaysPut"):
        refuse_unable(InMemoryRegistry(), StaysPut())
    with pytest.raises(Unsupported, match="the source's registry"):
        refuse_unable(StaysPut(), InMemoryRegistry())
