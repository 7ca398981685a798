"""A graph's answer beside the same estimators called one after the other, in one process."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
from lightgbm import LGBMClassifier, LGBMRegressor
from msgspec.json import decode
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge

from benchmarks.graphs.asked import asked
from benchmarks.page import Promise, Section
from loopline import graphs, specs
from loopline.platform_core.graphs.candidates import best, pairs
from loopline.platform_core.runtime.model.graphs import ESTIMATORS
from loopline.platform_core.runtime.model.manifest import FeatureField, Manifest, Parity
from loopline.platform_core.runtime.model.models import load_model
from loopline.platform_core.training.packaging.package import package

HOW = """A graph as its package is served, beside its estimators' served forms called by hand, with numpy between them:
CPU time of the thread, the median of the calls, both sides in turns in one process. *Ensemble*: a linear model by ONNX
and 100 trees of 31 leaves on 20 columns, and their mean. *Two stages*: a linear model scores 1,000 items, the best 100
of each row are ranked by 50 trees that see 8 columns, 4 numbers of the item and its score; ten stay. *A request*: one
row over HTTP, by the inference server with one worker, its prediction log and metrics; wrk asks by four connections for
{seconds} s after a warm-up."""
COLUMNS, ITEMS, CANDIDATES, COUNT = 20, 1_000, 100, 10
RNG = np.random.default_rng(0)
Floats = NDArray[np.float64]
Predict = Callable[[Floats], Floats]


class Case(NamedTuple):
    """A graph as it is served, and the same by hand."""

    name: str
    package: Path
    graph: Predict
    by_hand: Predict


def compare(quick: bool = False) -> Section:
    """Measure both graphs, for a row and for 32, and for a row of a request."""
    rows, promises = [], []
    seconds = 1 if quick else 5
    with tempfile.TemporaryDirectory() as folder:
        for case in (_ensemble(Path(folder, "ensemble")), _two_stages(Path(folder, "stages"))):
            waited = asked(case.package, Path(folder, f"{case.name} asked"), COLUMNS, seconds)
            for size in (1, 32):
                ours, theirs = _measured(case, size, 30 if quick else 300)
                said = [f"{waited.p50_ms:.1f} ms", f"{waited.p99_ms:.1f} ms"] if size == 1 else ["", ""]
                rows.append([case.name, f"{size}", f"{ours:.0f} µs", f"{theirs:.0f} µs", f"{ours / theirs:.2f}", *said])
                bound = 1.3 if size > 1 else 2  # of one row what stands between estimators counts
                promises.append(Promise(f"{case.name}, {size} row(s): a graph beside by hand", ours / theirs, bound))
    header = ("graph", "rows", "graph", "by hand", "ratio", "a request, p50", "p99")
    return Section("Graphs", HOW.format(seconds=seconds), header, rows, promises)


def _measured(case: Case, size: int, calls: int) -> tuple[float, float]:
    """Return the median of both sides in µs."""
    x = RNG.normal(size=(size, COLUMNS))
    np.testing.assert_allclose(case.graph(x)[:, 0], np.ravel(case.by_hand(x))[:size], rtol=1e-9)
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(calls):
        for times, call in zip(taken, (case.graph, case.by_hand), strict=True):
            began = time.thread_time_ns()
            call(x)
            times.append((time.thread_time_ns() - began) / 1_000)
    return median(taken[0]), median(taken[1])


def _ensemble(folder: Path) -> Case:
    x = RNG.normal(size=(4_000, COLUMNS))
    y = (x[:, 0] + x[:, 1] * x[:, 2] > 0).astype(float)
    train, binary = _examples(x, y), specs.Binary()
    graph = graphs.Graph.of(
        train,
        graphs.Predict("linear", LogisticRegression().fit(x, y), binary),
        graphs.Predict("trees", LGBMClassifier(n_estimators=100, verbosity=-1, n_jobs=1).fit(x, y), binary),
        graphs.Mean("mean", ("linear", "trees")),
    )
    served = _packaged(graph, specs.Graph(of=binary, steps={"linear": 1, "trees": 1}), x, folder)
    linear, trees = _by_hand(folder, "linear"), _by_hand(folder, "trees")
    return Case("ensemble", folder, served, lambda rows: (linear(rows) + trees(rows)) / 2)


def _two_stages(folder: Path) -> Case:
    x, items = RNG.normal(size=(500, COLUMNS)), RNG.normal(size=(ITEMS, 4))
    scores = x @ RNG.normal(size=(COLUMNS, ITEMS))
    columns = tuple(f"f{place}" for place in range(8))
    seen = pairs(x[:, :8], *np.split(best(scores, CANDIDATES), 2, axis=1), items)
    ranker = LGBMRegressor(n_estimators=50, verbosity=-1, n_jobs=1).fit(seen, seen[:, 0] * seen[:, 9] + seen[:, -1])
    retriever = graphs.Predict("retrieve", Ridge().fit(x, scores), specs.Ranking(tuple(range(ITEMS)), k=CANDIDATES))
    graph = graphs.Graph.of(
        _examples(x, scores),
        retriever,
        graphs.Rank("rank", graphs.Predict("pairs", ranker, columns=columns), "retrieve", items, COUNT),
    )
    ranking = specs.Ranking(items=tuple(range(ITEMS)), k=COUNT)
    served = _packaged(graph, specs.Graph(of=ranking, steps={"retrieve": 2 * CANDIDATES}), x, folder)
    retrieve, rank = _by_hand(folder, "retrieve"), _by_hand(folder, "pairs")

    def by_hand(rows: Floats) -> Floats:
        places, before = np.split(retrieve(rows), 2, axis=1)
        again = best(rank(pairs(rows[:, :8], places, before, items)).reshape(places.shape), COUNT)
        return np.take_along_axis(places, again[:, :COUNT].astype(np.int64), axis=1).T.ravel()

    return Case("two stages", folder, served, by_hand)


def _by_hand(folder: Path, step: str) -> Predict:
    """Load one estimator of a graph as it lies in the package."""
    manifest = decode(folder.joinpath(ESTIMATORS).read_bytes(), type=dict[str, Manifest])[step]
    alone = folder / f"{step} alone"
    alone.mkdir()
    alone.joinpath(manifest.file).write_bytes(folder.joinpath(manifest.file).read_bytes())
    manifest.save(alone)
    return load_model(alone).predict


def _examples(x: Floats, y: Floats) -> specs.Examples:
    return specs.Examples(x, y, tuple(f"f{place}" for place in range(COLUMNS)), {})


def _packaged(graph: graphs.Graph, target: specs.Target, x: Floats, folder: Path) -> Predict:
    fields = [FeatureField(name, "request") for name in graph.features]
    draft = Manifest(
        "m", "pickle", "", fields, [], ["customer_id"], {}, 0.5, "", "", Parity(0, 0.0, ""), target=target.to_json()
    )
    package(graph, draft, x, folder)
    return load_model(folder).predict
