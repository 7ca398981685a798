"""A move that is killed at any step is run again, and ends as one that was not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.platform_core.migration.conftest import Home, everything, move

KILLED = """
import os, signal, sys, threading
import deltalake, mlflow, polars, pyarrow.fs, sqlalchemy
from pathlib import Path
from loopline.platform_core import environment, plugins
from loopline.platform_core.migration import ledger_rows, move
from loopline.platform_core.platform import Platform

def opened(home, file):
    os.environ["LOOPLINE_HOME"] = home
    return Platform(environment.read(Path(file)))

def run(stop_at):
    steps = []
    def report(what):
        steps.append(what)
        if len(steps) == stop_at:
            threading.Timer(0.004 * (stop_at % 5), os.kill, (os.getpid(), signal.SIGKILL)).start()
    both = opened(*sys.argv[1:3]), opened(*sys.argv[3:5])
    move.Move(*both, plugins.installed(only=["parcels"]).teams, report).run()

for stop_at in map(int, sys.argv[5:]):
    child = os.fork()  # of a process that has opened nothing yet
    if not child:
        run(stop_at)
        os._exit(0)
    print(os.waitpid(child, 0)[1], flush=True)
"""


def test_killed_at_many_steps_it_ends_the_same(source: Home, target: Home, tmp_path: Path) -> None:
    """Among data files, the log, versions and the ledger; nothing is there twice, and no run of MLflow is left over."""
    places = [source.folder, source.file, target.folder, target.file]
    stops = ["3", "8", "4", "3", "2"]
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, *map(str, places), *stops], capture_output=True, text=True, check=False
    )
    killed = ended.stdout.split().count("9")
    assert killed >= 4, ended.stderr[-2000:]
    move(source, target)
    assert everything(target, tmp_path) == everything(source, tmp_path)
    runs = [_runs(home) for home in (source, target)]
    assert runs[0] == runs[1] == 2
    drafts = target.folder / "lake" / ".drafts"
    assert not drafts.exists() or not list(drafts.iterdir())


def _runs(home: Home) -> int:
    platform = home.open()
    client = platform.registry._client
    found = client.search_runs([client.get_experiment_by_name("parcels.late").experiment_id])
    platform.close()
    return sum("mlflow.parentRunId" not in run.data.tags for run in found)  # trials stay where they were tried


@pytest.mark.parametrize("stop", [2, 7])
def test_no_reader_of_the_target_sees_what_is_not_there(source: Home, target: Home, stop: int) -> None:
    """Broken off at a step, each table there reads whole at every version that it has."""

    def broken_off(_: str) -> None:
        seen.append(1)
        if len(seen) == stop:
            raise KeyboardInterrupt

    seen: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        move(source, target, broken_off)
    here, there = source.open(), target.open()
    for table in there.lake.tables():
        for version in range((there.lake.version(table) or 0) + 1):
            assert there.lake.read(table, version=version).equals(here.lake.read(table, version=version))
    for platform in (here, there):
        platform.close()
