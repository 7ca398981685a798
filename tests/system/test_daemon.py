"""The loop under Dagster's real daemon: what is killed is taken up again, and nothing that counts is lost or doubled.

The tests build on each other, as the days of an installation do.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg

from loopline.asset_defs.keys import CYCLE_TAG
from loopline.platform_core.foundation.names import ModelRef, raw_table
from loopline.platform_core.loop.cycles import cycles, gates
from loopline.platform_core.loop.deployments.deployments import deployment
from loopline.platform_core.specs import Drift
from loopline.up.app import App

REF = ModelRef("mill", "jams")
ONCE = ("cycle.opened", "training_set.pinned", "model.registered", gates.JUDGED, "rollout.started", "cycle.closed")


def wait(ready, what: str, seconds: float = 600):
    """Wait until something is there, and return it."""
    give_up = time.monotonic() + seconds
    while not (found := ready()):
        assert time.monotonic() < give_up, f"{what} did not come in {seconds:.0f} s"
        time.sleep(0.05)  # between two looks
    return found


def open_cycle(app: App, name: str) -> str:
    """Open a cycle in the ledger, as a person, a schedule or drift would."""
    now = datetime.now(UTC)
    return cycles.open_cycle(app.platform.ledger, REF, Drift(), name, name, now, force=True).cycle_id


def training(app: App, before: int) -> tuple[int, int]:
    """Wait until a training is in the middle of its work; gives its process and the one that waits for it."""
    marks = app.home / "fits"

    def newest() -> Path | None:
        files = sorted(file for file in marks.glob("[0-9]*"))
        return files[-1] if len(files) > before else None

    pid, parent = wait(newest, "a training").read_text().split()
    return int(pid), int(parent)


def fits(app: App) -> int:
    """Count the calls of ``fit`` so far."""
    return len(list((app.home / "fits").glob("[0-9]*")))


def closed(app: App, cycle: str) -> cycles.Cycle:
    """Wait for a cycle's end."""

    def ended() -> cycles.Cycle | None:
        found = cycles.cycle(app.platform.ledger, cycle)
        return found if found.state != "open" else None

    return wait(ended, f"the end of {cycle}")


def statuses(app: App, cycle: str) -> list[str]:
    """Return how the cycle's runs ended, newest first, once none is under way."""
    with dg.DagsterInstance.from_config(str(app.home / "dagster")) as instance:
        filters = dg.RunsFilter(tags={CYCLE_TAG: cycle})

        def done() -> list[str]:
            found = [run.status.value for run in instance.get_runs(filters)]
            return found if not {"STARTING", "STARTED"} & set(found) else []

        return wait(done, f"the runs of {cycle}")


def happened(app: App, cycle: str) -> Counter:
    """Count the ledger's entries of a cycle by kind."""
    return Counter(entry.kind for entry in app.platform.ledger.entries(REF) if entry.cycle == cycle)


def versions(app: App, cycle: str) -> list[str]:
    """List the registered versions of a cycle."""
    return [v.version for v in app.platform.registry.versions(REF.dotted) if v.tags["cycle"] == cycle]


def ends_well(app: App, cycle: str) -> None:
    """Check that a cycle whose first run died was finished by the second, each step of it once."""
    assert closed(app, cycle).state == "promoted"
    assert statuses(app, cycle) == ["SUCCESS", "FAILURE"]
    assert len(versions(app, cycle)) == 1
    counted = happened(app, cycle)
    assert {kind: counted[kind] for kind in ONCE} == dict.fromkeys(ONCE, 1)
    assert deployment(app.platform.ledger, REF).stable.version == versions(app, cycle)[0]


def test_files_land_by_themselves(app):
    """The ingest sensor lands what lies in the folder, and the view goes online."""
    lake = app.platform.lake
    wait(lambda: lake.version(raw_table("mill", "loads")) is not None, "raw rows")
    assert lake.read(raw_table("mill", "loads")).num_rows == 480
    wait(lambda: app.platform.online_store.read([("mill.wheel_weight.v1", ["3"])])[0][0], "features online")
    server = Path("/proc", str(app.pid("code:mill")), "maps")  # by now its sensors have made arrays
    assert "/pandas/" not in (server.read_text() if server.exists() else "")


def test_a_run_killed_between_landing_and_features_is_taken_up(app):
    """Its rows have landed and nothing new arrives: the next look finds the features late, and makes them."""
    app.home.joinpath("slow_view").touch()
    folder, moment = app.home / "landing/mill/loads", datetime.now(UTC)
    draft = folder / ".later.csv"
    draft.write_text(f"Wheel,Ground,Weight,Jammed\n3,{moment:%Y-%m-%d %H:%M},999,1\n")
    draft.rename(folder / "later.csv")
    rows = raw_table("mill", "loads")
    making = app.home / "making"
    wait(
        lambda: app.platform.lake.read(rows).num_rows == 481 and making.exists(),
        "rows, and features in the making",
        seconds=180,
    )
    os.kill(int(making.read_text()), signal.SIGKILL)
    assert heaviest(app) < 999, "it was too late for the kill"
    app.home.joinpath("slow_view").unlink()
    wait(lambda: heaviest(app) == 999, "features of what had landed", seconds=180)
    assert app.platform.lake.read(rows).num_rows == 481


def heaviest(app: App) -> float:
    """Return what is online of the heaviest load of wheel 3."""
    row = app.platform.online_store.read([("mill.wheel_weight.v1", ["3"])])[0][0]
    return max(row.values)


def test_a_killed_run_is_taken_up_by_the_next(app):
    """Dagster's run process dies in the middle of training: the training goes on, and a second run finds its result."""
    app.home.joinpath("slow").touch()
    cycle = open_cycle(app, "first")
    _, waiting = training(app, before=0)
    os.kill(waiting, signal.SIGKILL)
    app.home.joinpath("slow").unlink()
    ends_well(app, cycle)
    assert fits(app) == 2  # one trial and the final fit: nothing was trained twice


def test_a_killed_training_is_run_again(app):
    """The training process itself dies: the run fails, the second one trains anew, and one version is registered."""
    before = fits(app)
    app.home.joinpath("slow").touch()
    cycle = open_cycle(app, "second")
    trainer, _ = training(app, before)
    os.kill(trainer, signal.SIGKILL)
    app.home.joinpath("slow").unlink()
    ends_well(app, cycle)


def test_a_killed_code_server_loses_no_cycle(app):
    """The code server and the run that it watches die at once: nobody tells Dagster, so the sensor finds out itself."""
    before = fits(app)
    app.home.joinpath("slow").touch()
    cycle = open_cycle(app, "third")
    training(app, before)
    os.killpg(app.pid("code:mill"), signal.SIGKILL)
    app.home.joinpath("slow").unlink()
    ends_well(app, cycle)
    assert fits(app) == before + 2


class Stream:
    """Asks as fast as one client can, and keeps what was answered."""

    def __init__(self, endpoint: str) -> None:
        parts = urlsplit(endpoint)
        self.host, self.path = parts.netloc, f"{parts.path}/infer"
        self.answered: list[str] = []
        self.failed = 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._ask)

    def __enter__(self):
        """Begin."""
        self.thread.start()
        return self

    def __exit__(self, *_):
        """End."""
        self.stop.set()
        self.thread.join()

    def _ask(self) -> None:
        connection = http.client.HTTPConnection(self.host, timeout=5)
        for number in range(10**9):
            if self.stop.is_set():
                break
            try:
                connection.request("POST", self.path, self._body(number))
                response = connection.getresponse()
                response.read()
                assert response.status == 200
                self.answered.append(f"request {number}")
            except (OSError, http.client.HTTPException, AssertionError):
                self.failed += 1
                connection.close()
                time.sleep(0.02)  # a server that is away is asked again soon
        connection.close()

    @staticmethod
    def _body(number: int) -> bytes:
        wheel = {"name": "wheel", "shape": [1], "datatype": "INT64", "data": [number % 8]}
        return json.dumps({"id": f"request {number}", "inputs": [wheel]}).encode()


def test_a_killed_server_loses_no_answer(app):
    """The inference server dies three times under requests: it is back by itself, and every answer is in the log."""
    with Stream(app.platform.serving.endpoint(REF.dotted)) as stream:
        for _ in range(3):
            before = len(stream.answered)
            wait(lambda before=before: len(stream.answered) > before + 200, "answers")
            os.kill(app.pid("inference"), signal.SIGKILL)
        before = len(stream.answered)
        wait(lambda: len(stream.answered) > before + 200, "answers after the last kill")
    logged = app.platform.serving.predictions(REF.dotted)[0].column("request_id").to_pylist()
    assert stream.failed > 0
    assert set(stream.answered) <= set(logged)
    assert max(Counter(logged).values()) == 1
