"""The servers: what starts each, and how it is asked for rows of a model."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from benchmarks.peers import interpreter
from benchmarks.serving.data import FEATURES
from benchmarks.serving.ours import ENTITIES, ENTITY, ONLINE, environment

Rows = NDArray[Any]
Start = Callable[[Path, int, int, str], Sequence[str]]
"""Folder, port, workers and model to a command; most serve every model whatever the last says."""


class Side(NamedTuple):
    """A server: its command, a model's path, and the body that asks for rows; ``start`` names what is shared."""

    start: Start
    path: Callable[[str], str]
    body: Callable[[Rows, int], Any]
    variables: Mapping[str, str] = {}


def _columns(rows: Rows, number: int) -> Any:
    """Ask by the names of features, with the entity's key, as our clients do."""
    columns = [_column(name, "FP64", rows[:, place].tolist()) for place, name in enumerate(FEATURES)]
    return {"inputs": [_column(ENTITY, "INT64", _keys(rows, number)), *columns]}


def _key_only(rows: Rows, number: int) -> Any:
    return {"inputs": [_column(ENTITY, "INT64", _keys(rows, number))]}


def _matrix(rows: Rows, number: int) -> Any:  # noqa: ARG001 - one signature for all
    return {"inputs": [{"name": "x", "shape": list(rows.shape), "datatype": "FP64", "data": rows.ravel().tolist()}]}


def _keys(rows: Rows, number: int) -> list[int]:
    return [(number * 100 + row) * 7 % ENTITIES for row in range(len(rows))]


def _column(name: str, datatype: str, values: Sequence[Any]) -> dict[str, Any]:
    return {"name": name, "shape": [len(values)], "datatype": datatype, "data": values}


def _v2(model: str) -> str:
    return f"/v2/models/{model}/infer"


def _ours(folder: Path, port: int, workers: int, model: str) -> Sequence[str]:  # noqa: ARG001
    file = environment(folder, port)
    return [
        sys.executable,
        "-m",
        "loopline.inference_server",
        "--environment",
        str(file),
        "--workers",
        str(workers),
    ]


def _bare(folder: Path, port: int, workers: int, model: str) -> Sequence[str]:  # noqa: ARG001
    settings = ["--port", str(port), "--workers", str(workers), "--loop", "uvloop", "--http", "httptools"]
    quiet = ["--no-access-log", "--log-level", "warning", "--lifespan", "off"]
    return [sys.executable, "-m", "uvicorn", "benchmarks.serving.bare:app", *settings, *quiet]


def _peer(name: str) -> Start:
    def command(folder: Path, port: int, workers: int, model: str) -> Sequence[str]:  # noqa: ARG001
        return [interpreter(name), "-m", f"benchmarks.peers.serve_{name}", str(folder), str(port), str(workers)]

    return command


def _mlflow(folder: Path, port: int, workers: int, model: str) -> Sequence[str]:
    return [sys.executable, "-m", "benchmarks.serving.mlflow_side", str(folder), str(port), str(workers), model]


OURS, TENSOR, LOOKED_UP, BARE = "ours", "ours, one tensor", "ours, features online", "bare ASGI"
KSERVE, MLSERVER, BENTOML, MLFLOW = "kserve.ModelServer", "MLServer", "BentoML", "`mlflow models serve`"
SIDES: dict[str, Side] = {
    OURS: Side(_ours, _v2, _columns),
    TENSOR: Side(_ours, _v2, _matrix),
    LOOKED_UP: Side(_ours, lambda model: _v2(model + ONLINE), _key_only),
    BARE: Side(_bare, lambda model: f"/{model}", lambda rows, number: _matrix(rows, number)["inputs"][0]),
    KSERVE: Side(_peer("kserve"), _v2, _matrix),
    MLSERVER: Side(_peer("mlserver"), _v2, _matrix),
    BENTOML: Side(_peer("bentoml"), lambda model: f"/{model}", lambda rows, _: {"x": rows.tolist()}),
    MLFLOW: Side(_mlflow, lambda _: "/invocations", lambda rows, _: {"inputs": rows.tolist()}),
}
