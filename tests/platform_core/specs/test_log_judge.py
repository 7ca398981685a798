"""A team's own metric over the log becomes a judge."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.specs import Finding, LogMetric, Traffic

NONE = Traffic(0, 0, np.empty(0), np.empty(0))


def missing_share(log: pa.Table) -> list[float]:
    """Return for each row whether a feature was missing."""
    return [float(bool(names)) for names in log["missing"].to_pylist()]


def judged(judge: LogMetric, missing: int, rows: int) -> Finding:
    """Judge a log in which so many rows lack a feature."""
    log = pa.table({"missing": pa.array([["age"]] * missing + [[]] * (rows - missing), pa.list_(pa.string()))})
    return judge.find(Traffic(rows, 0, np.empty(0), np.empty(0), log=log), NONE)


def test_a_mean_above_its_bound_is_harm_when_it_is_proven():
    """Forty of a hundred against one in ten are; fourteen are in doubt; eight are within the bound."""
    judge = LogMetric(0.1, metric=missing_share)
    assert judge.name == "LogMetric(missing_share)"
    assert judged(judge, 40, 100) == Finding("LogMetric(missing_share)", 0.4, 0.1, harm=True, detail="100 values")
    assert judged(judge, 14, 100).in_doubt
    within = judged(judge, 8, 100)
    assert (within.harm, within.in_doubt) == (False, False)


def test_a_path_names_the_function():
    """As YAML writes it."""
    judge = LogMetric(0.1, metric=f"{__name__}:missing_share")
    assert judged(judge, 40, 100).harm


def test_too_few_values_are_no_finding():
    """The least number is the judge's own; no log has no value."""
    assert judged(LogMetric(0.1, metric=missing_share, min_rows=101), 40, 100).detail == "100 of 101 values"
    assert LogMetric(0.1, metric=missing_share).find(NONE, NONE).value is None


def test_a_metric_on_its_own_scale_needs_its_range():
    """A mean of 15 of 0..20 against 12 is proven; a value out of the range raises, so that the rollout waits."""
    log = pa.table({"amount": np.full(200, 15.0)})
    traffic = Traffic(200, 0, np.empty(0), np.empty(0), log=log)
    judge = LogMetric(12.0, metric=lambda rows: rows["amount"], highest=20.0)
    assert judge.find(traffic, NONE).harm
    narrow = LogMetric(12.0, metric=lambda rows: rows["amount"], highest=14.0)
    with pytest.raises(InvalidSpec, match="15, which is not within 0 and 14"):
        narrow.find(traffic, NONE)


@pytest.mark.parametrize("bound", [1.0, -0.1])
def test_a_bound_outside_the_range_is_refused(bound):
    """Nothing could ever lie above it, or everything does."""
    with pytest.raises(InvalidSpec, match="not within 0 and 1"):
        LogMetric(bound, metric=missing_share)
