"""Our server beside others, a request of one row for each kind of model."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from statistics import median

from benchmarks.kinds import data
from benchmarks.kinds.data import Kind
from benchmarks.page import Promise, Section
from benchmarks.peers import interpreter
from benchmarks.serving import data as serving_data
from benchmarks.serving import ours
from benchmarks.serving.load import Cell, loaded, served
from loopline.platform_core.contracts.serving import DesiredState, Served
from loopline.platform_core.runtime.model.manifest import FeatureField, Manifest, Parity
from loopline.platform_core.runtime.states import write_desired
from loopline.platform_core.testing.parts.ports import free_port
from loopline.platform_core.training.packaging.package import package

HOW = """A model of each kind on twenty features, fitted once and served by every side with one worker: ours as the
platform packages it, with prediction log and metrics, and whatever the kind makes of what the model says (the
likeliest class by name, a list of items, a path of quantiles); KServe 0.21's `ModelServer` with a model as
its documentation writes one; MLServer 1.7.1 with its LightGBM and scikit-learn runtimes, which answer with
all that the estimator says (of the ranking a score for each of 500 items). wrk asks for one row as one tensor
by 16 connections, {seconds} s after a warm-up; the sides answer in turns, {rounds} times, and medians are shown. CPU is
user and system time of all of the server's processes, a request."""
CONNECTIONS, BODIES, SECONDS, ROUNDS = 16, 16, 2, 5
OURS, KSERVE, MLSERVER = "ours", "kserve.ModelServer", "MLServer"
SIDES = (OURS, KSERVE, MLSERVER)


def compare(quick: bool = False) -> Section:
    """Measure each side with each kind."""
    seconds, rounds = (1, 1) if quick else (SECONDS, ROUNDS)
    kinds = data.fit()
    with tempfile.TemporaryDirectory(prefix="loopline-bench-") as name:
        folder = Path(name)
        data.write(folder, kinds)
        _write_ours(folder, kinds)
        found = _measured(folder, kinds, seconds, rounds)
    rows, promises = [], []
    for kind, one in kinds.items():
        own = found[OURS][kind]
        beside = [found[side][kind] for side in (KSERVE, MLSERVER)]
        said = [f"{cell.cpu_us:,.0f} µs ({cell.cpu_us / own.cpu_us:.1f}x)" for cell in beside]
        rows.append([kind, one.said, f"{own.cpu_us:,.0f} µs", *said, f"{own.p99_ms:.1f} ms"])
        promises += [
            Promise(f"a request of `{kind}`, of the CPU of {side}", 100 * own.cpu_us / cell.cpu_us, 12.5, " %")
            for side, cell in zip((KSERVE, MLSERVER), beside, strict=True)
        ]
    header = ("kind", "model", "ours", KSERVE, MLSERVER, "p99, ours")
    return Section("Serving each kind", HOW.format(seconds=seconds, rounds=rounds), header, rows, promises)


def _measured(folder: Path, kinds: Mapping[str, Kind], seconds: int, rounds: int) -> dict[str, dict[str, Cell]]:
    """Start all sides, and ask them for each kind in turns: a machine that is slow for a while is slow for all."""
    asked = _bodies(folder)
    variables = {"BENCH_PACKAGES": str(folder / "packages"), "BENCH_LOGS": str(folder)}
    first = asked.read_text().splitlines()[0]
    paths = {kind: f"/v2/models/{kind}/infer" for kind in kinds}
    cells: dict[str, dict[str, list[Cell]]] = {side: {kind: [] for kind in kinds} for side in SIDES}
    with ExitStack() as started:
        servers = {}
        for side in SIDES:
            port = free_port()
            run = served(_command(side, folder, port), port, paths["ranking"], first, variables)
            servers[side] = started.enter_context(run)
        for _, (kind, path), side in product(range(rounds), paths.items(), SIDES):
            cells[side][kind].append(loaded(servers[side], [path], asked, CONNECTIONS, seconds))
    return {side: {kind: _median(several) for kind, several in of.items()} for side, of in cells.items()}


def _median(cells: Sequence[Cell]) -> Cell:
    return Cell(*map(median, zip(*cells, strict=True)))


def _command(side: str, folder: Path, port: int) -> Sequence[str]:
    if side == OURS:
        program = [sys.executable, "-m", "loopline.inference_server", "--workers", "1", "--environment"]
        return [*program, str(ours.environment(folder, port))]
    name = "kserve" if side == KSERVE else "mlserver"
    return [interpreter(name), "-m", f"benchmarks.peers.serve_{name}_kinds", str(folder), str(port), "1"]


def _bodies(folder: Path) -> Path:
    file = folder / "bodies"
    rows = [serving_data.rows(1, 100 + number) for number in range(BODIES)]
    made = [
        {"inputs": [{"name": "x", "shape": list(row.shape), "datatype": "FP64", "data": row.ravel().tolist()}]}
        for row in rows
    ]
    file.write_text("".join(f"{json.dumps(body)}\n" for body in made))
    return file


def _write_ours(folder: Path, kinds: Mapping[str, Kind]) -> None:
    fields = [FeatureField(name, "request") for name in serving_data.FEATURES]
    sample = serving_data.rows(serving_data.TRAINING_ROWS, 0)
    for name, kind in kinds.items():
        said = {"target": kind.target.to_json()}
        draft = Manifest(name, "pickle", "", fields, [], [ours.ENTITY], {}, 0.5, "s", "c-1", Parity(0, 0.0, ""), **said)
        made = folder / "packages" / name
        package(kind.estimator, draft, sample, made)
        write_desired(folder / "serving", DesiredState(name, 1, Served("1", made, "cycle-1")))
