"""Our server beside others: the same two models, the same rows, one load after another."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.page import Promise, Section
from benchmarks.serving import data, many_models, ours
from benchmarks.serving.load import Cell, NotAnsweredError, loaded, served
from benchmarks.serving.sides import BARE, KSERVE, LOOKED_UP, MLSERVER, OURS, SIDES, TENSOR
from loopline.platform_core.testing.parts.ports import free_port

HOW = """A LightGBM model of 200 trees with 31 leaves (`boosted`) and a scikit-learn pipeline of imputer, scaler and
logistic regression (`pipeline`), twenty features, fitted once and served by every side: ours as the platform packages
them (LightGBM's single-row call, ONNX), with prediction log and metrics; features named one by one in the request
("ours"), as one tensor, as the peers get them, or looked up online in SQLite by the entity's key alone. Bare ASGI is
uvicorn with our models, JSON in and out, without checks, log or metrics. The peers serve the artefacts with their own
runtimes or as their documentation writes a model, logs of requests off: KServe 0.21's `ModelServer` without gRPC,
MLServer 1.7.1 (one worker is `parallel_workers: 0`), BentoML 1.4, each in its own environment, MLflow's `models serve`
in ours. wrk asks with one thread, sixteen different requests in turns, {seconds:g} s a load after a warm-up. CPU is
user and system time of all of the server's processes, a request; it says more than requests a second where wrk and
server share few cores; "beside ours" compares it with ours, asked by one tensor. A load is named workers / rows a
request / connections. Start is from the command to the first answer."""
BODIES = 16
"""Different requests of a load, in turns."""
SECONDS, QUICK_SECONDS = 2, 1


class Load(NamedTuple):
    """Workers, rows a request, connections."""

    workers: int
    rows: int
    connections: int

    def __str__(self) -> str:
        """Write it short."""
        return f"{self.workers} / {self.rows} / {self.connections}"


ONE_ROW, MANY_ROWS = Load(1, 1, 16), Load(1, 100, 16)
LOADS = (Load(1, 1, 1), ONE_ROW, Load(1, 1, 64), MANY_ROWS, Load(2, 1, 64), Load(2, 100, 16))
QUICK = (ONE_ROW, MANY_ROWS)


class Found(NamedTuple):
    """A side with a model: cells by load, or what went wrong; seconds to the first answer and memory by workers."""

    cells: dict[Load, Cell]
    unanswered: dict[Load, str]
    start_seconds: dict[int, float]
    rss_mb: dict[int, float]


Key = tuple[str, str]
"""Side and model."""


def compare(quick: bool = False) -> Section:
    """Measure each side with each model."""
    loads, seconds = (QUICK, QUICK_SECONDS) if quick else (LOADS, SECONDS)
    with tempfile.TemporaryDirectory(prefix="loopline-bench-") as name:
        folder = Path(name)
        ours.write(folder, data.write(folder))
        found = {(side, model): measure(side, model, folder, loads, seconds) for side in SIDES for model in data.MODELS}
        many = many_models.compare(folder, quick)
    header = ("side", "model", "load", "requests / s", "p50", "p99", "CPU a request", "beside ours", "start", "memory")
    rows = [*_rows(found), *many.rows]
    return Section("Serving", HOW.format(seconds=seconds), header, rows, [*_promises(found), *many.promises])


def measure(side: str, model: str, folder: Path, loads: Sequence[Load], seconds: int) -> Found:
    """Start the side once for each number of workers, and put every load on it."""
    found, one = Found({}, {}, {}, {}), SIDES[side]
    path, first = one.path(model), bodies(side, folder, 1).read_text().splitlines()[0]
    variables = {"BENCH_PACKAGES": str(folder / "packages"), "BENCH_LOGS": str(folder)}
    for workers in sorted({load.workers for load in loads}):
        port = free_port()
        with served(one.start(folder, port, workers, model), port, path, first, variables) as server:
            found.start_seconds[workers] = server.start_seconds
            for load in (load for load in loads if load.workers == workers):
                try:
                    asked = bodies(side, folder, load.rows)
                    found.cells[load] = loaded(server, [path], asked, load.connections, seconds)
                except NotAnsweredError as error:
                    found.unanswered[load] = str(error)
            found.rss_mb[workers] = server.rss_mb
    return found


def bodies(side: str, folder: Path, rows: int) -> Path:
    """Write the requests of a side, one a line."""
    file = folder / f"{list(SIDES).index(side)}-{rows}.bodies"
    if not file.exists():
        made = [SIDES[side].body(data.rows(rows, 100 + number), number) for number in range(BODIES)]
        file.write_text("".join(f"{json.dumps(body)}\n" for body in made))
    return file


def _rows(found: dict[Key, Found]) -> Iterator[list[str]]:
    for (side, model), one in sorted(found.items(), key=lambda item: item[0][1]):
        own = found[TENSOR, model]
        for load, cell in one.cells.items():
            beside = cell.cpu_us / own.cells[load].cpu_us if load in own.cells else float("nan")
            times = [f"{cell.rps:,.0f}", f"{cell.p50_ms:.2f} ms", f"{cell.p99_ms:.1f} ms", f"{cell.cpu_us:,.0f} µs"]
            sizes = [f"{one.start_seconds[load.workers]:.1f} s", f"{one.rss_mb[load.workers]:.0f} MB"]
            yield [side, model, str(load), *times, f"{beside:.1f}x", *sizes]
        for load, problem in one.unanswered.items():
            yield [side, model, str(load), problem, *[""] * 6]


def _promises(found: dict[Key, Found]) -> list[Promise]:
    def cpu(side: str, model: str, load: Load) -> float:
        return found[side, model].cells[load].cpu_us

    def share(side: str, model: str, load: Load) -> float:
        return 100 * cpu(TENSOR, model, load) / cpu(side, model, load)

    promises = [
        Promise(f"CPU of a 1-row LightGBM request, {side}", cpu(side, data.BOOSTED, ONE_ROW), 60, " µs")
        for side in (TENSOR, OURS, LOOKED_UP)
    ]
    for peer in (KSERVE, MLSERVER):
        promises += [
            Promise(f"1 row of `boosted`, of the CPU of {peer}", share(peer, data.BOOSTED, ONE_ROW), 12.5, " %"),
            Promise(f"1 row of `pipeline`, of the CPU of {peer}", share(peer, data.PIPELINE, ONE_ROW), 33.3, " %"),
            *(
                Promise(f"100 rows of `{model}`, of the CPU of {peer}", share(peer, model, MANY_ROWS), 100, " %")
                for model in data.MODELS
            ),
        ]
    beside = cpu(TENSOR, data.BOOSTED, ONE_ROW) / cpu(BARE, data.BOOSTED, ONE_ROW)
    start = found[OURS, data.BOOSTED].start_seconds[1]
    return [
        *promises,
        Promise("1 row, beside bare ASGI", beside, 2, "x"),
        Promise("start to first answer", start, 1.5, " s"),
    ]
