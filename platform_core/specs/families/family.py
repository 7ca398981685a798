"""Estimator family: its name, parameter space, and fit function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loopline.platform_core.specs.space import Dimension

if TYPE_CHECKING:
    from loopline.platform_core.metrics.metric import Floats
    from loopline.platform_core.specs.examples import Estimator, Examples, Params, Report
    from loopline.platform_core.targets.target import Learns


@dataclass(frozen=True)
class Learning:
    """What is to be learnt, so many numbers a row, and from which rows.

    ``valid`` serves early stopping, never training. ``judge`` is the search's own score, more is better, of an
    estimator that is given the rows of ``valid``, or what it takes in their place. ``report(step, score)`` ends a
    trial that is not worth it.
    """

    learns: Learns
    width: int
    train: Examples
    valid: Examples
    judge: Callable[[Any, Floats], float]
    report: Report


@dataclass(frozen=True)
class Family:
    """Estimators of one kind: what they are called, the space of their parameters, and how one is fitted.

    ``usual`` are the parameters that are tried first. ``fit`` returns an estimator as the model's target takes it.
    """

    name: str
    space: Mapping[str, Dimension]
    usual: Params
    fit: Callable[[Learning, Params], Estimator]
