"""Workers killed at random moments under load: every answer that somebody got is in the lake, once."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Self

import pytest

from loopline.platform_core.contracts.serving import DesiredState
from loopline.platform_core.environment import Environment
from loopline.platform_core.foundation.names import ModelRef, prediction_table
from loopline.platform_core.monitor.quality.predictions import compact, forget
from loopline.platform_core.platform import Platform
from loopline.platform_core.runtime import states
from loopline.platform_core.runtime.prediction_log.log import log_folder
from loopline.platform_core.testing.parts.inference_server import inference_server
from loopline.platform_core.testing.parts.model_packages import AMOUNT, ENTITY
from loopline.platform_core.testing.parts.ports import free_port
from loopline.platform_core.testing.serving import come_to, served
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.local.serving import LocalServing
from tests.repeats import repeats

REF = ModelRef("kit", "kills")
KILLS = repeats(6)
WORKERS = 3
CALLERS = 6


class Callers:
    """Threads that ask, connect again when their worker dies, and remember the ids of the answers that they got."""

    def __init__(self, port: int) -> None:
        self.acknowledged: list[str] = []
        self.refused: list[object] = []
        self._port = port
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(CALLERS)]

    def __enter__(self) -> Self:
        """Begin."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        n = 0
        while not self._ended.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
            try:
                while not self._ended.is_set():
                    n += 1
                    self._ask(connection, f"{number}-{n}")
                    time.sleep(0.005)  # a caller asks again and again, and lets others do so
            except (OSError, http.client.HTTPException):
                time.sleep(0.01)  # the worker is gone; another takes the next connection
            finally:
                connection.close()

    def _ask(self, connection: http.client.HTTPConnection, request_id: str) -> None:
        inputs = [
            {"name": ENTITY, "shape": [1], "datatype": "BYTES", "data": [request_id]},
            {"name": AMOUNT, "shape": [1], "datatype": "FP64", "data": [1.0]},
        ]
        body = json.dumps({"id": request_id, "inputs": inputs})
        connection.request("POST", f"/v2/models/{REF.dotted}/infer", body)
        reply = connection.getresponse()
        answer = json.loads(reply.read())
        if reply.status == 200:
            self.acknowledged.append(answer["id"])
        elif "not loaded" not in answer["error"] and "no model" not in answer["error"]:  # a worker that just began
            self.refused.append(answer)


@contextmanager
def platform(folder: Path, port: int) -> Iterator[Platform]:
    """Give a platform with a real lake and the local server."""
    bindings = {
        "lake": DeltaLake(root=f"{folder}/lake"),
        "serving": LocalServing(root=f"{folder}/serving", port=port, keep_days=0),
    }
    bound = Environment("test", folder / "e.yaml", bindings, f"sqlite:///{folder}/ledger.db", None, folder)
    opened = Platform(bound)
    yield opened
    opened.close()


def kill_one(root: Path, killed: set[int], chance: random.Random) -> int:
    """Kill a worker as soon as there are two that were not killed yet, so that somebody answers; return its id."""
    alive: set[int] = set()
    while len(alive) < 2:
        time.sleep(0.02)  # between two looks: what is looked at tells nobody
        alive = {int(name.rpartition("-")[2]) for name in states.living(root)} - killed
    victim = chance.choice(sorted(alive))
    os.kill(victim, signal.SIGKILL)
    return victim


@pytest.mark.timeout(240)
def test_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    """Compacted now and then while it goes on, and trimmed, the lake holds every acknowledged id exactly once."""
    port, chance = free_port(), random.Random(4)
    file = tmp_path / "environment.yaml"
    file.write_text(f"""
bindings:
  serving: {{vendor: local, root: "{tmp_path}/serving", port: {port}}}
  online_store: {{vendor: sqlite, path: "{tmp_path}/online.db"}}
""")
    team, model = SimpleNamespace(name=REF.team), SimpleNamespace(name=REF.model)
    killed: set[int] = set()
    removed = 0
    with platform(tmp_path, port) as opened, inference_server(file, port, WORKERS):
        come_to(opened.serving, DesiredState(REF.dotted, 1, served(tmp_path, "1")))
        with Callers(port) as callers:
            for number in range(KILLS):
                time.sleep(chance.uniform(0.05, 0.4))  # any moment
                killed.add(kill_one(tmp_path / "serving", killed, chance))
                if number % 3 == 2:
                    compact(opened, team, model)
                    removed += forget(opened, team, model)
        compact(opened, team, model)
        assert compact(opened, team, model).rows == 0
        counted = Counter(opened.lake.read(prediction_table(*REF))["request_id"].to_pylist())
        assert callers.refused == []
        assert len(killed) == KILLS
        assert len(callers.acknowledged) > 25 * KILLS
        assert set(callers.acknowledged) - set(counted) == set()
        assert [name for name, times in counted.items() if times > 1] == []
        assert removed > 0
    with platform(tmp_path, port) as opened:
        forget(opened, team, model)  # nobody lives, and all is read
        assert list(log_folder(tmp_path / "serving", REF.dotted).iterdir()) == []
        assert compact(opened, team, model).rows == 0
