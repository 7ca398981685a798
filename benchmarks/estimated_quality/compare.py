"""How far estimates of quality are from what is realised, on two years of real orders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from benchmarks.estimated_quality.examples import accepted, examples, instants_us, retail
from benchmarks.page import Promise, Section
from loopline.platform_core.estimation.evidence import Evidence
from loopline.platform_core.estimation.expected import DEVIATIONS
from loopline.platform_core.metrics import Figure
from loopline.platform_core.monitor.quality import figures
from loopline.platform_core.runtime.model.encode import matrix
from loopline.platform_core.specs import Model
from loopline.platform_core.training.examples import learnable

HOW = """Both models of `retail` on the two years of real orders. A version is fitted every second month on what was
known by then (labels take 31 days), as the platform splits it, with fixed parameters. It then answers the orders of the
next five windows of 28 days. Each window is estimated from its scores and from labels that had come by its end: those
of rows held out at training, and of orders answered before. It is measured when all of its own labels have come.
*Error* is the mean absolute difference of both; *at training* the same with scores read by the held-out rows alone, as
at training; *unchanged* that of saying the figure of the held-out rows again; *chance* the error that is to be expected
where the meaning of scores does not change. *Held* is the share of windows whose realised figure lies in the 95 %
interval of the estimate: the less, the more that meaning changes."""
PARAMS = {
    "learning_rate": 0.06,
    "num_leaves": 15,
    "min_child_samples": 50,
    "reg_lambda": 1.0,
    "colsample_bytree": 0.7,
}
TRAINED = [datetime(2010, 7, 1, tzinfo=UTC) + timedelta(days=61 * step) for step in range(8)]
KNOWN, WINDOW, WINDOWS = timedelta(days=31), timedelta(days=28), 5
METRICS = ("roc_auc", "recall", "precision", "accuracy", "log_loss", "brier", "positives")
ERROR = 0.05
"""What the mean absolute error of the area under the ROC curve may be at most."""


class Guess(NamedTuple):
    """One metric of one window: estimated, estimated as at training, measured at training, and realised."""

    metric: str
    guess: Figure
    first: Figure
    before: Figure
    real: Figure


@dataclass(frozen=True)
class Rows:
    """A model's examples in order of time: the table, and its features."""

    model: Model
    table: pa.Table
    features: list[str]

    def guesses(self, trained: datetime) -> Iterator[Guess]:
        """Fit by what was known at a moment, and compare in the windows that follow."""
        data = learnable(self._between(None, trained - KNOWN), self.features, self.model.target)
        model, parts, target = self.model, data.parts, self.model.target
        fitted = model.fit(data.part(parts.train), data.part(parts.valid), PARAMS, lambda _step, _score: None)
        held = slice(parts.train.stop, None)
        way = target.estimation
        assert way is not None, "both models are binary"
        held_out = way.held_out(target, target.predictions(fitted, data.x[held]), data.y[held])
        judged = target.predictions(fitted, data.x[parts.evaluation])
        before = _by_name(figures.realised(target.rows(data.y[parts.evaluation], judged), target.metrics.values()))
        later = self._between(trained, trained + WINDOWS * WINDOW)
        given = {name: later.column(name) for name in self.features}
        scores = target.predictions(fitted, matrix(given, self.features, data.encoded.vocabulary))
        labels = np.asarray(later["label"].to_numpy())
        evidence = Evidence(way, target, held_out, instants_us(later), scores, labels)
        for number in range(WINDOWS):
            yield from self._window(evidence, trained + number * WINDOW, before)

    def _window(self, evidence: Evidence, start: datetime, before: dict[str, Figure]) -> Iterator[Guess]:
        target, end = self.model.target, _us(start + WINDOW)
        metrics = target.metrics.values()
        own = (evidence.event_us >= _us(start)) & (evidence.event_us < end)
        meanings = evidence.by(_us(start + WINDOW - KNOWN)), evidence.by(0)
        if not own.any() or end > instants_us(self.table)[-1] or None in meanings:
            return
        scores = evidence.raw[own]
        real = _by_name(figures.realised(target.rows(evidence.labels[own], scores), metrics))
        guess, first = (_by_name(meaning.estimated(target, scores, metrics)) for meaning in meanings if meaning)
        for name in METRICS:
            yield Guess(name, guess[name], first[name], before[name], real[name])

    def _between(self, since: datetime | None, until: datetime) -> pa.Table:
        times = instants_us(self.table)
        first, last = (int(np.searchsorted(times, _us(at))) if at else 0 for at in (since, until))
        return self.table.slice(first, last - first)


def compare(quick: bool = False) -> Section:
    """Estimate and measure."""
    team, rows, promises = retail(), list[list[str]](), list[Promise]()
    raw = accepted(team)
    for model in team.models:
        told = Rows(model, *examples(model, raw))
        found = [guess for moment in TRAINED[: 2 if quick else None] for guess in told.guesses(moment)]
        for metric in METRICS:
            own = [guess for guess in found if guess.metric == metric]
            rows.append([model.name, metric, *_row(own)])
        area = [guess for guess in found if guess.metric == "roc_auc"]
        promises.append(Promise(f"error of the estimated area, {model.name}", _error(area), ERROR))
    header = ("model", "metric", "windows", "realised", "error", "at training", "unchanged", "chance", "held")
    return Section("Estimated quality", HOW, header, rows, promises)


def _row(found: list[Guess]) -> list[str]:
    reals = [guess.real.value for guess in found]
    chance = float(np.mean([guess.guess.high - guess.guess.low for guess in found])) / (2 * DEVIATIONS)
    held = float(np.mean([guess.guess.low <= guess.real.value <= guess.guess.high for guess in found]))
    errors = [_error(found, name) for name in ("guess", "first", "before")] + [chance * float(np.sqrt(2 / np.pi))]
    return [
        f"{len(found)}",
        f"{min(reals):.3f} to {max(reals):.3f}",
        *(f"{each:.3f}" for each in errors),
        f"{held:.0%}",
    ]


def _error(found: list[Guess], which: str = "guess") -> float:
    return float(np.mean([abs(getattr(guess, which).value - guess.real.value) for guess in found]))


def _by_name(found: Iterator[Figure]) -> dict[str, Figure]:
    return {figure.metric: figure for figure in found}


def _us(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000
