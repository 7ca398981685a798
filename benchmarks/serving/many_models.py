"""A thousand small models in one process: how long they load, what memory a model takes, what a request costs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import NamedTuple

import msgspec

from benchmarks.page import Promise
from benchmarks.serving import data
from benchmarks.serving.load import Cell, loaded, served
from benchmarks.serving.sides import SIDES, TENSOR
from loopline.platform_core.contracts.serving import DesiredState, Served
from loopline.platform_core.runtime.model import manifest
from loopline.platform_core.runtime.states import write_desired
from loopline.platform_core.testing.parts.ports import free_port

MODELS, QUICK_MODELS = 1_000, 50
SECONDS = 2
TREES = 20


class Many(NamedTuple):
    """Rows for the table of servers, and promises."""

    rows: list[list[str]]
    promises: list[Promise]


def compare(folder: Path, quick: bool) -> Many:
    """Serve one small model, then many, and ask them in turns."""
    number = QUICK_MODELS if quick else MODELS
    small = _package(folder)
    alone, one_mb, _ = _measure(folder / "one", small, 1)
    crowd, many_mb, seconds = _measure(folder / "many", small, number)
    each_mb = (many_mb - one_mb) / (number - 1)
    name = f"ours, {number:,} models of {TREES} trees"
    figures = [f"{crowd.rps:,.0f}", f"{crowd.p50_ms:.2f} ms", f"{crowd.p99_ms:.1f} ms", f"{crowd.cpu_us:,.0f} µs"]
    row = [name, "all, in turns", "1 / 1 / 16", *figures, "", f"{seconds:.1f} s", f"{many_mb:.0f} MB"]
    return Many(
        [row],
        [
            Promise(f"memory of each of {number:,} small models", each_mb, 1, " MB"),
            Promise("loading one of them", 1000 * seconds / number, 15, " ms"),
            Promise("a request among them, beside one model alone", crowd.cpu_us / alone.cpu_us, 2, "x"),
        ],
    )


def _measure(folder: Path, small: Path, number: int) -> tuple[Cell, float, float]:
    """Return what a load found, the memory in MB, and the seconds until all were loaded."""
    names = [f"small{place:04}" for place in range(number)]
    for name in names:
        write_desired(folder / "serving", DesiredState(name, 1, Served("1", small, "cycle-1")))
    port, body = free_port(), json.dumps(SIDES[TENSOR].body(data.rows(1, 100), 0))
    command = SIDES[TENSOR].start(folder, port, 1, "")
    paths = [f"/v2/models/{name}/infer" for name in names]
    bodies = folder / "small.bodies"
    bodies.write_text(f"{body}\n" * max(len(paths), 16))
    with served(command, port, "/v2/health/ready", None, {"BENCH_LOGS": str(folder)}) as server:
        return loaded(server, paths, bodies, 16, SECONDS), server.rss_mb, server.start_seconds


def _package(folder: Path) -> Path:
    """Copy the boosted model's package with its first trees only."""
    import lightgbm

    made = shutil.copytree(folder / "packages" / data.BOOSTED, folder / "packages" / "small")
    full = lightgbm.Booster(model_file=str(made / "model.txt"))
    full.save_model(str(made / "model.txt"), num_iteration=TREES)
    msgspec.structs.replace(manifest.load(made), model="small").save(made)
    return made
