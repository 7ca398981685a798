"""What is measured of one version's window: of all rows and of each segment, realised and estimated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from loopline.platform_core.monitor import figures, groups
from loopline.platform_core.monitor.estimate import estimated
from loopline.platform_core.monitor.quality_figures import WindowFigure
from loopline.platform_core.specs.quality import watched_metrics, watched_segments

if TYPE_CHECKING:
    from loopline.platform_core.metrics import Figure
    from loopline.platform_core.monitor.calibration import Calibration
    from loopline.platform_core.monitor.outcomes import Outcomes
    from loopline.platform_core.specs import Model


def measured(model: Model, window: Outcomes, meaning: Calibration | None) -> list[WindowFigure]:
    """Measure all rows, and each segment that has enough."""
    return [kept for name, rows in _parts(model, window) for kept in _figures(model, name, rows, meaning)]


def of_all(model: Model, window: Outcomes) -> list[WindowFigure]:
    """Measure all rows together, and estimate nothing."""
    return list(_figures(model, "", window, None))


def _parts(model: Model, window: Outcomes) -> Iterator[tuple[str, Outcomes]]:
    yield "", window
    for column in watched_segments(model):
        values = window.groups[column]
        for value in groups.largest(values, model.quality.min_rows):
            yield f"{column}={value}", window.where(values == value)


def _figures(model: Model, segment: str, rows: Outcomes, meaning: Calibration | None) -> Iterator[WindowFigure]:
    """Yield what is realised of some rows, and what is estimated if anything is known of what scores mean."""
    known, threshold, metrics = rows.labelled, model.threshold, watched_metrics(model)
    counts = len(rows), int(known.sum())
    real = [
        *figures.realised(rows.labels[known], rows.scores[known], threshold, metrics),
        *figures.answered(rows.labels, rows.scores, threshold, metrics),
    ]
    guessed = estimated(meaning, rows.scores, threshold, metrics) if meaning else ()
    for is_estimate, told in ((False, real), (True, guessed)):
        for figure in told:
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
