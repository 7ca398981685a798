"""One model of all series beside a model of each: CPU time and how good the forecasts are."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.forecasts import data
from benchmarks.forecasts.data import HORIZON, SERIES, Floats
from benchmarks.page import Promise, Section
from benchmarks.peers import interpreter
from benchmarks.turns import ROOT
from loopline import specs
from loopline.platform_core.runtime.model.manifest import FeatureField, Manifest, Parity
from loopline.platform_core.runtime.model.models import load_model
from loopline.platform_core.training.packaging.package import package

HOW = f"""Real daily sales of {SERIES:,} articles over two years, the last four weeks forecast from two origins,
{HORIZON} days each, with an interval of 80 %. Ours: `specs.direct_forecast`, one model that learns from 40 weeks before
the first origin, packaged and loaded as a server does; it is fitted once and forecasts from both. By hand:
statsforecast 2.0.1, a model of each series, fitted anew for each origin, one process (its compiled code is
warm). Seconds are CPU time; a forecast's are of all series from one origin. MASE is the error beside that of
repeating the week before, over each series' past; coverage is the share of days within the interval."""
PEERS = ("AutoETS", "SeasonalNaive")


class Found(NamedTuple):
    """CPU seconds of learning and of forecasting from one origin; MASE and coverage, means of both origins."""

    fit_seconds: float
    forecast_seconds: float
    mase: float
    coverage: float


def compare(quick: bool = False) -> Section:
    """Measure both."""
    sold = data.series()[: 100 if quick else SERIES]
    found = {"ours": _ours(sold)} | {f"statsforecast, {name}": _peer(sold, name) for name in PEERS}
    rows = [
        [side, f"{one.fit_seconds:.1f} s", f"{one.forecast_seconds:.2f} s", f"{one.mase:.3f}", f"{one.coverage:.0%}"]
        for side, one in found.items()
    ]
    ours, ets, naive = found.values()
    promises = [
        Promise("CPU of fit and forecast, of AutoETS by hand", 100 * (sum(ours[:2]) / sum(ets[:2])), 100, " %"),
        Promise("CPU of a forecast, of AutoETS by hand", 100 * ours.forecast_seconds / sum(ets[:2]), 10, " %"),
        Promise("MASE, of AutoETS's", ours.mase / ets.mase, 1),
        Promise("MASE, of SeasonalNaive's", ours.mase / naive.mase, 1),
    ]
    header = ("side", "fit", "forecast", "MASE", "coverage")
    return Section("A thousand forecasts", HOW, header, rows, promises)


def _ours(sold: Floats) -> Found:
    target = specs.Forecast(horizon=HORIZON, season=data.SEASON, unit="pieces")
    origins = data.origins(sold.shape[1])
    checked, learnt = range(data.WEEKS_CHECKED), range(data.WEEKS_CHECKED, data.WEEKS_CHECKED + data.WEEKS_LEARNT)
    train, valid = (data.examples(sold, origins[0], weeks) for weeks in (learnt, checked))
    began = time.process_time()
    fitted = specs.direct_forecast(
        target, train, valid, {}, lambda *_: None, level="mean_28", by_season=("day", "usual")
    )
    fit_seconds = time.process_time() - began
    fields = [FeatureField(name, "request") for name in data.NAMES]
    draft = Manifest("m", "pickle", "", fields, [], [], {}, 0.5, "", "", Parity(0, 0.0, ""), target=target.to_json())
    with tempfile.TemporaryDirectory() as folder:
        package(fitted, draft, train.x[:500], Path(folder))
        predict = load_model(Path(folder)).predict
    seconds, scores = [], []
    for origin in origins:
        began = time.process_time()
        raw = predict(data.features(sold, origin))
        seconds.append(time.process_time() - began)
        scores.append(data.scored(sold, origin, raw.reshape(len(sold), HORIZON, -1)))
    return Found(fit_seconds, float(np.mean(seconds)), *map(float, np.mean(scores, axis=0)))


def _peer(sold: Floats, name: str) -> Found:
    origins = data.origins(sold.shape[1])
    with tempfile.TemporaryDirectory() as folder:
        given, out = Path(folder, "series.npy"), Path(folder, "out.npz")
        np.save(given, sold)
        command = [
            interpreter("statsforecast"),
            "-m",
            "benchmarks.peers.forecast_statsforecast",
            str(given),
            str(out),
            name,
        ]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
        subprocess.run([*command, *map(str, origins)], check=True, cwd=ROOT, env=environment)
        with np.load(out) as told:
            scores = [data.scored(sold, origin, told[f"forecast {origin}"]) for origin in origins]
            seconds = float(np.mean([float(told[f"seconds {origin}"]) for origin in origins]))
    return Found(0.0, seconds, *map(float, np.mean(scores, axis=0)))
