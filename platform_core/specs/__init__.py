"""What a team declares; the only package that a team's package needs."""

from loopline.platform_core.specs.batch import Batch
from loopline.platform_core.specs.collected import models_in
from loopline.platform_core.specs.estimate_judge import EstimatedQuality
from loopline.platform_core.specs.examples import Estimator, Examples, Fit, Params, Pruned, Report
from loopline.platform_core.specs.features import FeatureView, feature_view
from loopline.platform_core.specs.gang import Gang
from loopline.platform_core.specs.gates import (
    AtLeast,
    AtMost,
    BeatsChampion,
    Evidence,
    FairAcross,
    Gate,
    Reading,
    Segment,
)
from loopline.platform_core.specs.judges import P99, Both, ErrorRate, Finding, Judge, Pairs, Traffic
from loopline.platform_core.specs.labels import Labels, labels
from loopline.platform_core.specs.log_judge import LogMetric
from loopline.platform_core.specs.model import Drift, Model, Requirements, Rollout, Skew
from loopline.platform_core.specs.moments import minutes, weekday
from loopline.platform_core.specs.paired_judges import ScoreShift, Slower
from loopline.platform_core.specs.quality import Fairness, Quality
from loopline.platform_core.specs.quality_judge import RealisedQuality
from loopline.platform_core.specs.search import Choice, Range, Search, choice, int_range, log_range, uniform
from loopline.platform_core.specs.slo import Slo
from loopline.platform_core.specs.source import Source
from loopline.platform_core.specs.team import Team

__all__ = [
    "P99",
    "AtLeast",
    "AtMost",
    "Batch",
    "BeatsChampion",
    "Both",
    "Choice",
    "Drift",
    "ErrorRate",
    "EstimatedQuality",
    "Estimator",
    "Evidence",
    "Examples",
    "FairAcross",
    "Fairness",
    "FeatureView",
    "Finding",
    "Fit",
    "Gang",
    "Gate",
    "Judge",
    "Labels",
    "LogMetric",
    "Model",
    "Pairs",
    "Params",
    "Pruned",
    "Quality",
    "Range",
    "Reading",
    "RealisedQuality",
    "Report",
    "Requirements",
    "Rollout",
    "ScoreShift",
    "Search",
    "Segment",
    "Skew",
    "Slo",
    "Slower",
    "Source",
    "Team",
    "Traffic",
    "choice",
    "feature_view",
    "int_range",
    "labels",
    "log_range",
    "minutes",
    "models_in",
    "uniform",
    "weekday",
]
