"""Judged before labels come: by the better end of an estimate's interval, whichever way is better."""

from __future__ import annotations

import numpy as np
import pytest

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.specs import EstimatedQuality, Finding, Traffic
from loopline.platform_core.specs.judges.judges import Estimate
from loopline.platform_core.targets import Binary, Regression, Target

NONE = np.empty(0)


def find(judge: EstimatedQuality, target: Target, *estimates: Estimate) -> Finding:
    """Judge a candidate of which so much is estimated."""
    side = Traffic(1_000, 0, NONE, NONE, estimates=estimates, target=target)
    return judge.find(side, side)


@pytest.mark.parametrize(
    ("target", "judge", "good", "bad"),
    [
        (Binary(), EstimatedQuality(at_least=0.6), ("roc_auc", 0.62, 0.60, 0.64), ("roc_auc", 0.4, 0.38, 0.42)),
        (Binary(), EstimatedQuality(no_worse_than=0.6), ("roc_auc", 0.62, 0.60, 0.64), ("roc_auc", 0.4, 0.38, 0.42)),
        (Binary(), EstimatedQuality(no_worse_than=0.4, metric="brier"), ("brier", .3, .2, .4), ("brier", .9, .8, 1)),
        (Regression("GBP"), EstimatedQuality(no_worse_than=50), ("rmse", 49, 45, 53), ("rmse", 80, 76, 84)),
        (Regression("GBP"), EstimatedQuality(no_worse_than=50, metric="mae"), ("mae", 49, 45, 53), ("mae", 80, 76, 84)),
    ],
)  # fmt: skip
def test_harm_is_proven_when_the_whole_interval_is_worse(target, judge, good, bad):
    """Whether more or less is better; the metric left out is what models of the kind are searched by."""
    fine, harm = find(judge, target, Estimate(*good, 5_000)), find(judge, target, Estimate(*bad, 5_000))
    assert (fine.harm, fine.in_doubt, harm.harm) == (False, False, True)
    assert harm.judge == f"EstimatedQuality({bad[0]})"
    assert harm.value == pytest.approx(abs(bad[1] - (judge.at_least or judge.no_worse_than)))
    assert find(judge, target).detail == "nothing is estimated yet"


def test_an_estimate_beyond_the_bound_by_what_may_be_chance_is_in_doubt():
    """It waits for more rows."""
    finding = find(EstimatedQuality(no_worse_than=50), Regression(), Estimate("rmse", 51, 47, 55, 1_000))
    assert (finding.harm, finding.in_doubt, finding.value) == (False, True, 1)
    assert finding.detail == "estimated 51.000 (47.000 to 55.000) on 1000 rows, 50 is asked for"


class Silent(Binary):
    """A kind of which nothing is known before labels come."""

    kind, estimation, not_estimated = "silent", None, "its answers are ranks"


@pytest.mark.parametrize(
    ("judge", "target", "said"),
    [
        (
            EstimatedQuality(at_least=50),
            Regression(),
            "less rmse is better, at_least=50 bounds nothing: write no_worse",
        ),
        (
            EstimatedQuality(no_worse_than=50, metric="mae"),
            Binary(),
            "mae of a binary model is not estimated: name one",
        ),
        (
            EstimatedQuality(at_least=0.6),
            Silent(),
            "nothing of a silent model is estimated, its answers are ranks: judge",
        ),
    ],
)
def test_a_bound_that_a_kind_does_not_have_is_said(judge, target, said):
    """The judge is silent, and says what to declare."""
    finding = find(judge, target, Estimate("roc_auc", 0.1, 0.1, 0.1, 5_000))
    assert (finding.value, finding.harm) == (None, False)
    assert said in finding.detail


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({}, "not one bound"),
        ({"at_least": 0.6, "no_worse_than": 0.6}, "not one bound"),
        ({"at_least": 3, "metric": "mae"}, "less mae is better"),
        ({"at_least": 0.6, "metric": "r2"}, "no metric that is estimated 'r2'"),
        ({"at_least": 0.6, "metric": "positives"}, "no metric that is estimated 'positives'"),
    ],
)
def test_what_bounds_nothing_is_refused_where_it_is_declared(declared, said):
    """With the fix, before anything is rolled out."""
    with pytest.raises(InvalidSpec, match=said):
        EstimatedQuality(**declared)
