"""Metrics of one version's window: overall, by segment and by band; realised and estimated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from loopline.platform_core.monitor.quality import bands, figures, groups
from loopline.platform_core.monitor.quality.quality_figures import WindowFigure
from loopline.platform_core.specs.quality import watched_metrics, watched_segments

if TYPE_CHECKING:
    from loopline.platform_core.estimation.estimation import Meaning
    from loopline.platform_core.metrics import Figure
    from loopline.platform_core.monitor.quality.outcomes import Outcomes
    from loopline.platform_core.specs import Model


def measured(model: Model, window: Outcomes, meaning: Meaning | None) -> list[WindowFigure]:
    """Measure all rows, each segment that has enough, and what came of like readings."""
    found = [kept for name, rows in _parts(model, window) for kept in _figures(model, name, rows, meaning)]
    return found + [
        _window_figure(figure, name, (rows, rows), is_estimate=False)
        for name, rows, told in bands.of(window, model.target)
        for figure in told
        if figure.is_finite
    ]


def of_all(model: Model, window: Outcomes) -> list[WindowFigure]:
    """Measure all rows together, and estimate nothing."""
    return list(_figures(model, "", window, None))


def _parts(model: Model, window: Outcomes) -> Iterator[tuple[str, Outcomes]]:
    yield "", window
    for column in watched_segments(model):
        values = window.groups[column]
        for value in groups.largest(values, model.quality.min_rows):
            yield f"{column}={value}", window.where(values == value)


def _figures(model: Model, segment: str, rows: Outcomes, meaning: Meaning | None) -> Iterator[WindowFigure]:
    """Yield what is realised of some rows, and what is estimated if anything is known of what scores mean."""
    known, target, metrics = rows.labelled, model.target, watched_metrics(model)
    counts = len(rows), int(known.sum())
    real = [
        *figures.realised(target.rows(rows.labels[known], rows.raw[known]), metrics),
        *figures.answered(target.rows(rows.labels, rows.raw), metrics),
    ]
    guessed = meaning.estimated(target, target.own(rows.raw), metrics) if meaning else ()
    for is_estimate, told in ((False, real), (True, guessed)):
        for figure in (one for one in told if one.is_finite):
            yield _window_figure(figure, segment, counts, is_estimate=is_estimate)


def _window_figure(figure: Figure, segment: str, counts: tuple[int, int], *, is_estimate: bool) -> WindowFigure:
    return WindowFigure(
        metric=figure.metric,
        segment=segment,
        value=_rounded(figure.value),
        low=_rounded(figure.low),
        high=_rounded(figure.high),
        rows=counts[0],
        labelled=counts[1],
        estimated=is_estimate,
    )


def _rounded(number: float) -> float:
    return float(f"{number:.6g}")
