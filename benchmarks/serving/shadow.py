"""What a shadow costs the requests: the same server and load without one, with a quick one, and with a slow one."""

from __future__ import annotations

import pickle
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.page import Promise, Section
from benchmarks.serving import data, ours
from benchmarks.serving.compare import bodies
from benchmarks.serving.load import Cell, loaded, served
from benchmarks.serving.sides import OURS, SIDES
from benchmarks.turns import in_turns
from loopline.platform_core.contracts.serving import DesiredState, Served
from loopline.platform_core.runtime import shadow_log
from loopline.platform_core.runtime.model import manifest
from loopline.platform_core.runtime.states import write_desired
from loopline.platform_core.testing.parts.inference_server import shadow_process
from loopline.platform_core.testing.parts.ports import free_port

HOW = """One server with one worker answers a LightGBM model (200 trees of 31 leaves, twenty features, one row a
request); wrk asks on 16 connections, {seconds:g} s a turn, {times} turns each. Beside it runs the process that replays
shadows: without one, with another LightGBM model, with a scikit-learn pipeline that is served as it is (some 0.3 ms a
row). CPU is that of the server alone, a request. "Replayed" is the share of a turn's requests that the shadow had
repeated when the turn ended: it gets the processor time that is left, and wrk and the server leave little on two cores;
what it has not done by then it does afterwards."""
WITHOUT, QUICK_SHADOW, SLOW_SHADOW = "no shadow", "LightGBM in shadow", "scikit-learn in shadow"
CONNECTIONS = 16
Turn = tuple[Cell, float]
"""What a load found, and the share that was replayed by its end."""


def compare(quick: bool = False) -> Section:
    """Measure each in turns on one server."""
    seconds, times = (1, 1) if quick else (5, 5)
    with tempfile.TemporaryDirectory(prefix="loopline-bench-") as name:
        folder = Path(name)
        estimators = data.write(folder)
        ours.write(folder, estimators)
        stable = Served("1", folder / "packages" / data.BOOSTED, "cycle-1")
        slow = _as_it_is(folder, stable.package, estimators[data.PIPELINE])
        shadows = {WITHOUT: None, QUICK_SHADOW: stable.package, SLOW_SHADOW: slow}
        found = _measured(folder, stable, shadows, seconds, times)
    rows = [_row(one, cells) for one, cells in found.items()]
    header = ("replayed beside", "requests / s", "p50", "p99", "CPU of the server a request", "replayed")
    how = HOW.format(seconds=seconds, times=times)
    return Section("Shadows", how, header, rows, [_promise(found, QUICK_SHADOW), _promise(found, SLOW_SHADOW)])


def _measured(
    folder: Path, stable: Served, shadows: dict[str, Path | None], seconds: int, times: int
) -> dict[str, list[Turn]]:
    port, side, numbers = free_port(), SIDES[OURS], count(2)
    asked = bodies(OURS, folder, 1)
    command, path = side.start(folder, port, 1, data.BOOSTED), side.path(data.BOOSTED)
    first = asked.read_text().splitlines()[0]
    with (
        served(command, port, path, first, {"BENCH_LOGS": str(folder)}) as server,
        shadow_process(ours.environment(folder, port)),
    ):
        ask = partial(loaded, server, [path], asked, CONNECTIONS, seconds)

        def turn(package: Path | None) -> Turn:
            return _turn(folder, stable, package, next(numbers), ask)

        return in_turns({name: partial(turn, package) for name, package in shadows.items()}, times)


def _turn(folder: Path, stable: Served, package: Path | None, number: int, ask: Callable[[], Cell]) -> Turn:
    """Measure one turn; the shadow is a version of its own each time, and begins with the turn."""
    root = folder / "serving"
    shadow = Served(str(number), package, "cycle-2") if package else None
    before = _answered(root)
    write_desired(root, DesiredState(data.BOOSTED, number, stable, shadow=shadow))
    time.sleep(1.0)
    cell = ask()
    replayed = sum(shadow_log.reached(root, data.BOOSTED, str(number)).values()) if shadow else before
    share = (replayed - before) / max(_answered(root) - before, 1)
    write_desired(root, DesiredState(data.BOOSTED, number, stable))
    time.sleep(1.0)
    return cell, share


def _answered(root: Path) -> int:
    """Return the bytes of all requests logged."""
    return sum(file.stat().st_size for file in shadow_log.answered(root, data.BOOSTED))


def _as_it_is(folder: Path, like: Path, estimator: Any) -> Path:
    package = folder / "packages" / "as-it-is"
    package.mkdir()
    package.joinpath("model.pkl").write_bytes(pickle.dumps(estimator))
    known = manifest.load(like)
    fields = {name: getattr(known, name) for name in known.__struct_fields__}
    manifest.Manifest(**{**fields, "kind": "pickle", "file": "model.pkl"}).save(package)
    return package


def _row(name: str, turns: list[Turn]) -> list[str]:
    cells = [cell for cell, _ in turns]
    replayed = median(share for _, share in turns)
    return [
        name,
        f"{median(c.rps for c in cells):,.0f}",
        f"{median(c.p50_ms for c in cells):.2f} ms",
        f"{median(c.p99_ms for c in cells):.1f} ms",
        f"{median(c.cpu_us for c in cells):.1f} µs",
        "" if name == WITHOUT else f"{100 * replayed:.0f} %",
    ]


def _promise(found: dict[str, list[Turn]], name: str) -> Promise:
    """Compare what one turn had with the turn beside it."""
    ratio = median(a.cpu_us / b.cpu_us for (a, _), (b, _) in zip(found[name], found[WITHOUT], strict=True))
    return Promise(f"CPU of a request, {name} / {WITHOUT}", ratio, 1.1)
