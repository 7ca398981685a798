"""Calibration of multiclass probabilities, on rows that the model was not trained on.

The logarithms of a row's chances are multiplied by one slope, and each class is moved by a number of its own; what adds
up to 1 again are the chances that are believed (Guo and others, 2017; Alexandari and others, 2020: bias-corrected
temperature scaling). Newton's method finds them; their covariance says how sure they are. A class that never came has
no number of its own: a little weight keeps every class where the model has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from loopline.platform_core.estimation.drawn import agreeing, figures
from loopline.platform_core.estimation.estimation import Meaning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.platform_core.estimation.estimation import Kind
    from loopline.platform_core.estimation.held_out import HeldOut
    from loopline.platform_core.foundation.distance import Floats
    from loopline.platform_core.metrics.metric import Figure, Metric

KEPT = 16_000
"""Rows that are fitted to at most: by then each class of ten is known to a fiftieth."""
IN_PACKAGE = 2_000
"""Rows before the newest that a package keeps."""
LEAST_PROBABILITY = 1e-6
PRIOR = 0.1
"""Weight of "chances mean what they say", as so many rows would have it."""
MOST_STEPS, LEAST_STEP = 30, 1e-6


@dataclass(frozen=True, eq=False)
class ClassRows:
    """Rows with a label: chances (rows, classes), and labels as their kind encodes them."""

    raw: Floats
    labels: Floats

    def some(self, most: int) -> ClassRows:
        """Return every second, third, ... row, so that there are at most so many."""
        each = -(-len(self.raw) // most) or 1
        return ClassRows(self.raw[::each], self.labels[::each])

    def __add__(self, other: ClassRows) -> ClassRows:
        """Return the rows of both, or an even share of them."""
        pairs = (self.raw, other.raw), (self.labels, other.labels)
        return ClassRows(*(np.concatenate(pair) for pair in pairs)).some(KEPT)

    def to_json(self) -> list[tuple[float, ...]]:
        """Write each row: its chances, and then its label."""
        together = np.column_stack([self.raw.round(6), self.labels])
        return [tuple(row) for row in together.tolist()]

    @classmethod
    def from_json(cls, kept: HeldOut) -> ClassRows:
        """Read what ``to_json`` wrote."""
        rows, wide = np.array(kept.older, dtype=np.float64), len(kept.scores[0])
        return cls(rows[:, :wide], rows[:, wide:].reshape(len(rows), *np.shape(kept.labels)[1:]))


@dataclass(frozen=True, eq=False)
class OneOfClasses(Meaning):
    """A slope and a number a class, the curvature by which they are known, and of how many ``rows``."""

    names: Sequence[str]
    line: Floats
    covariance: Floats
    rows: int

    @classmethod
    def of(cls, names: Sequence[str], counts: ClassRows) -> OneOfClasses:
        """Fit them; a step that overshoots is halved."""
        logs, came = _logs(counts.raw), counts.labels.astype(np.int64)
        line = _plain(logs.shape[1])
        loss, slope, curved = _fit(logs, came, line)
        for _ in range(MOST_STEPS):
            step = np.linalg.solve(curved, slope)
            after = _fit(logs, came, line + step)
            while after[0] > loss and np.abs(step).max() > LEAST_STEP:
                step = step / 2
                after = _fit(logs, came, line + step)
            line, (loss, slope, curved) = line + step, after
            if np.abs(step).max() < LEAST_STEP:
                break
        return cls(names, line, np.asarray(np.linalg.inv(curved), dtype=np.float64), len(came))

    def __call__(self, raw: Floats) -> Floats:
        """Return the chances of each class, as they are believed."""
        return _chances(_logs(raw), self.line)

    def agrees(self, older: OneOfClasses) -> bool:
        """Say whether both, of other rows, may be the same: Wald's test."""
        return agreeing(self.line - older.line, self.covariance + older.covariance)

    def estimated(self, kind: Kind, raw: Floats, metrics: Iterable[Metric]) -> Iterator[Figure]:
        """Draw classes by the chances that are believed."""
        logs = _logs(raw)

        def draw(random: np.random.Generator, line: Floats, places: Any) -> Floats:
            up_to = _chances(logs[places], line).cumsum(axis=1)[:, :-1]
            drawn: Floats = (up_to < random.random(len(up_to))[:, None]).sum(axis=1).astype(np.float64)
            return drawn

        wanted = [metric for metric in metrics if metric.name in self.names]
        yield from figures(kind, raw, wanted, draw, (self.line, self.covariance))


def _plain(classes: int) -> Floats:
    """Return the slope and the classes' numbers with which chances mean what they say."""
    return np.append(1.0, np.zeros(classes))


def _logs(raw: Floats) -> Floats:
    return np.asarray(np.log(raw.clip(LEAST_PROBABILITY, 1.0)), dtype=np.float64)


def _chances(logs: Floats, line: Floats) -> Floats:
    value = line[0] * logs + line[1:]
    value = np.exp(value - value.max(axis=1, keepdims=True))
    return np.asarray(value / value.sum(axis=1, keepdims=True))


def _fit(logs: Floats, came: Any, line: Floats) -> tuple[float, Floats, Floats]:
    """Return the surprise (nats) with a little for being far from plain, which way it falls, and how it is curved."""
    chances, far = _chances(logs, line), line - _plain(logs.shape[1])
    own, hit = chances[np.arange(len(came)), came], np.zeros_like(chances)
    hit[np.arange(len(came)), came] = 1
    missed, meant = hit - chances, (chances * logs).sum(axis=1)
    slope = np.append((missed * logs).sum(), missed.sum(axis=0)) - PRIOR * far
    curved = PRIOR * np.eye(len(line))
    curved[0, 0] += float((chances * logs**2).sum() - (meant**2).sum())
    curved[0, 1:] += (chances * (logs - meant[:, None])).sum(axis=0)
    curved[1:, 0] = curved[0, 1:]
    curved[1:, 1:] += np.diag(chances.sum(axis=0)) - chances.T @ chances
    loss = -float(np.log(own.clip(1e-300)).sum()) + PRIOR / 2 * float((far**2).sum())
    return loss, slope, curved
