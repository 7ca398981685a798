"""A request that asks why, beside the same request without, and beside shap on the same model and rows."""

from __future__ import annotations

import asyncio
import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.page import Promise, Section
from benchmarks.peers import interpreter
from loopline.platform_core.contracts.serving import DesiredState, Served
from loopline.platform_core.runtime.answering.answers import answered
from loopline.platform_core.runtime.answering.inference import Inference, ModelState
from loopline.platform_core.runtime.answering.routes import Route
from loopline.platform_core.runtime.model.manifest import FeatureField, Manifest, Parity
from loopline.platform_core.runtime.wire.protocol import decode
from loopline.platform_core.targets import Binary
from loopline.platform_core.testing.fakes.online_store import InMemoryOnlineStore
from loopline.platform_core.testing.parts.model_packages import ENTITY
from loopline.platform_core.training.packaging.package import package

MODEL, FEATURES, ROWS = "bench.why", 20, 20_000
HOW = (
    "One row a request, read from its JSON and answered as JSON, without a socket and without a log: CPU time of the "
    "process, the fastest of some rounds of {rows} requests, of a LightGBM model of {trees} trees with 31 leaves over "
    "{features} features. `shap` (TreeExplainer, `benchmarks/explain/shap_side.py`) explains the same rows of the same "
    "model one by one, in an environment of its own, and neither reads nor answers anything. What both say of a row "
    "differs by {apart:.1e} at most."
)


def compare(quick: bool = False) -> Section:
    """Measure both."""
    count, rounds = (50, 2) if quick else (200, 4)
    found: list[tuple[str, ...]] = []
    promises: list[Promise] = []
    apart = 0.0
    sizes = (50, 400)
    for trees in sizes:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            rows = _packaged(folder, trees, count)
            inference = _serving(folder)
            plain, why = (_fastest(_asked(inference, rows, more), rounds, count) for more in ({}, WHY))
            peer = json.loads(
                subprocess.run(
                    [interpreter("shap"), str(Path(__file__).with_name("shap_side.py")), scratch, str(rounds)],
                    check=True,
                    stdout=subprocess.PIPE,
                ).stdout
            )
            own = _serving(folder).route(MODEL).stable.model.explainer
            assert own is not None
            mine = own.explain(rows[:20], np.full(20, 0.5)).contributions
            apart = max(apart, float(np.abs(mine - np.array(peer["first"])).max()))
        found.append(
            (f"{trees} trees", f"{plain:.0f} µs", f"{why:.0f} µs", f"{peer['us']:.0f} µs", f"{why / plain:.1f}")
        )
        promises.append(Promise(f"a request that asks why / shap alone, {trees} trees", why / peer["us"], 1.0))
    how = HOW.format(rows=count, trees=" or ".join(map(str, sizes)), features=FEATURES, apart=apart)
    header = ("model", "a request", "asking why", "shap, a row", "asking / not")
    return Section("Saying why", how, header, found, promises)


WHY = {"parameters": {"explain": True}}


def _packaged(folder: Path, trees: int, count: int) -> Any:
    """Fit and package; returns rows to ask about."""
    import lightgbm

    random = np.random.default_rng(0)
    x = random.normal(size=(ROWS, FEATURES))
    y = (x[:, 0] * x[:, 1] + x[:, 2:6].sum(axis=1) + random.normal(size=ROWS) > 0).astype(float)
    settings = {"objective": "binary", "num_leaves": 31, "verbose": -1, "num_threads": 1, "seed": 0}
    booster = lightgbm.train(settings, lightgbm.Dataset(x, y), trees)
    fields = [FeatureField(f"f{at}", "request") for at in range(FEATURES)]
    draft = Manifest(
        MODEL, "pickle", "", fields, [], [ENTITY], {}, 0.5, "s", "c", Parity(0, 0.0, ""), target=Binary().to_json()
    )
    assert package(booster, draft, x[:2_000], folder).kind == "lightgbm"
    np.save(folder / "rows.npy", x[:count])
    return x[:count]


def _serving(folder: Path) -> Inference:
    inference = Inference(InMemoryOnlineStore(), lambda _, __: None)
    inference.models[MODEL] = ModelState(Route.build(DesiredState(MODEL, 1, Served("1", folder, "c")), None))
    return inference


def _asked(inference: Inference, rows: Any, more: dict[str, Any]) -> Callable[[], None]:
    """Prepare requests; returns what answers them."""
    bodies = []
    for at, row in enumerate(rows.tolist()):
        sent = [{"name": ENTITY, "shape": [1], "datatype": "BYTES", "data": [f"c{at}"]}]
        sent += [{"name": f"f{n}", "shape": [1], "datatype": "FP64", "data": [v]} for n, v in enumerate(row)]
        bodies.append(json.dumps({"inputs": sent, **more}).encode())

    async def all_of_them() -> None:
        for body in bodies:
            request = decode(body)
            answered(MODEL, request, await inference.infer(MODEL, request))

    return lambda: asyncio.run(all_of_them())


def _fastest(ask: Callable[[], None], rounds: int, count: int) -> float:
    """Return the µs of CPU a request took in the fastest round, after one that warms up."""
    ask()
    times = []
    for _ in range(rounds):
        began = time.process_time()
        ask()
        times.append(time.process_time() - began)
    return min(times) / count * 1e6
