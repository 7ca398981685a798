"""A graph behind our inference server, asked one row at a time: how long an application waits."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from benchmarks.serving.load import Cell, loaded, served
from benchmarks.serving.ours import environment
from loopline.platform_core.contracts.serving import DesiredState, Served
from loopline.platform_core.runtime.states import write_desired
from loopline.platform_core.testing.parts.ports import free_port

CONNECTIONS, BODIES = 4, 16


def asked(package: Path, folder: Path, columns: int, seconds: int) -> Cell:
    """Serve a package with one worker from ``folder``, and ask it by four connections for so many seconds."""
    folder.mkdir()
    port, bodies, path = free_port(), folder / "bodies", "/v2/models/graph/infer"
    rows = np.random.default_rng(1).normal(size=(BODIES, 1, columns)).round(4)
    made = [
        {"inputs": [{"name": "x", "shape": [1, columns], "datatype": "FP64", "data": row[0].tolist()}]} for row in rows
    ]
    bodies.write_text("".join(f"{json.dumps(body)}\n" for body in made))
    write_desired(folder / "serving", DesiredState("graph", 1, Served("1", package, "cycle-1")))
    command = [sys.executable, "-m", "loopline.inference_server", "--workers", "1", "--environment"]
    command.append(str(environment(folder, port)))
    with served(command, port, path, json.dumps(made[0]), {"BENCH_LOGS": str(folder)}) as server:
        return loaded(server, [path], bodies, CONNECTIONS, seconds)
