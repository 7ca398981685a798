"""Bare Dagster: ``python -m benchmarks.canary.run_bare <home> <times>`` prints what it took, a JSON line each time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

import dagster as dg
import yaml

from benchmarks.canary import home as homes
from benchmarks.canary.stopwatch import Side, ask, measure
from benchmarks.turns import end
from loopline.platform_core.foundation.ports import HOST
from loopline.up import dagster_home
from loopline.up.ports import answers, free_port


def main(home: Path, times: int) -> None:
    """Start the processes that ``loopline up`` starts, and measure."""
    port = free_port()
    homes.enter(home, "bare", port)
    from benchmarks.canary import bare

    bare.serve(None, 0, generation=_generation(bare))
    url = f"http://{HOST}:{port}"
    with _everything(home, url), dg.DagsterInstance.get() as instance:
        side = Side(instance, "drift_sensor", url, lambda version: _started(bare, version))
        seen = {ask(url, 0)}
        for _ in range(times):
            print(json.dumps(measure(side, seen)), flush=True)
            with bare.rollouts() as table:
                table.execute("UPDATE rollouts SET state = 'rolled back', generation = generation + 1")
            bare.serve(None, 0, _generation(bare))


def _generation(bare) -> int:
    with bare.rollouts() as table:
        return int(table.execute("SELECT coalesce(max(generation), 1) FROM rollouts").fetchone()[0])


def _started(bare, version: str) -> float:
    with bare.rollouts() as table:
        return float(table.execute("SELECT started_at FROM rollouts WHERE version = ?", (version,)).fetchone()[0])


@contextmanager
def _everything(home: Path, url: str) -> Iterator[None]:
    """Run inference server, code server and daemon with the same instance's settings as the other side."""
    folder = Path(os.environ["DAGSTER_HOME"])
    folder.mkdir(exist_ok=True)
    folder.joinpath("dagster.yaml").write_text(yaml.safe_dump(dagster_home.settings()))
    dg.DagsterInstance.get().dispose()
    port = free_port()
    workspace = dagster_home.write_grpc_workspace(folder / "workspace.yaml", {"bare": port})
    served = ("--module-name", "benchmarks.canary.bare", "--attribute", "defs", "--location-name", "bare")
    with (
        _process(home, "loopline.inference_server"),
        _process(home, "dagster", "api", "grpc", "--host", HOST, "--port", str(port), *served),
    ):
        _until(lambda: answers(port) and _lives(url))
        with _process(home, "dagster._daemon", "run", "--workspace", str(workspace)):
            yield


@contextmanager
def _process(home: Path, module: str, *arguments: str) -> Iterator[None]:
    log = home.joinpath("logs", f"bare-{module}.log")
    log.parent.mkdir(exist_ok=True)
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    with log.open("a") as out:
        process = subprocess.Popen([sys.executable, "-m", module, *arguments], stdout=out, stderr=out, env=environment)
    try:
        yield
    finally:
        end(process, 20)


def _lives(url: str) -> bool:
    try:
        return bool(ask(url, 0))
    except (URLError, OSError):
        return False


def _until(condition: Callable[[], bool], seconds: float = 120) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "bare Dagster did not start; see the home's logs"
        time.sleep(0.1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
