"""Declarations of a team (specs): the only package that a team's package needs to import."""

from loopline.platform_core.specs.apart import Apart
from loopline.platform_core.specs.batch import Batch
from loopline.platform_core.specs.collected import models_in
from loopline.platform_core.specs.contracts.source import Source
from loopline.platform_core.specs.direct_forecast import DirectForecast, direct_forecast
from loopline.platform_core.specs.examples import Estimator, Examples, Fit, Params, Pruned, Report
from loopline.platform_core.specs.experiment import Experiment, Guardrail
from loopline.platform_core.specs.explain import Explain, Reasons
from loopline.platform_core.specs.exposure import PerExposure, per_exposure, rates
from loopline.platform_core.specs.gang import Gang
from loopline.platform_core.specs.inputs import Inputs, Tensor
from loopline.platform_core.specs.judges.estimate_judge import EstimatedQuality
from loopline.platform_core.specs.judges.gates import (
    AtLeast,
    AtMost,
    BeatsBaseline,
    BeatsChampion,
    Evidence,
    FairAcross,
    Gate,
    Reading,
    Segment,
)
from loopline.platform_core.specs.judges.judges import P99, Both, ErrorRate, Finding, Judge, Pairs, Traffic
from loopline.platform_core.specs.judges.log_judge import LogMetric
from loopline.platform_core.specs.judges.paired_judges import ScoreShift, Slower
from loopline.platform_core.specs.judges.quality_judge import RealisedQuality
from loopline.platform_core.specs.labels import Labels, labels
from loopline.platform_core.specs.model import Drift, Model, Requirements, Rollout, Skew
from loopline.platform_core.specs.quality import Fairness, Quality
from loopline.platform_core.specs.search import Search
from loopline.platform_core.specs.slo import Slo
from loopline.platform_core.specs.space import Choice, Range, choice, int_range, log_range, uniform
from loopline.platform_core.specs.team import Team
from loopline.platform_core.specs.views.features import FeatureView, feature_view
from loopline.platform_core.specs.views.moments import minutes, vector, weekday
from loopline.platform_core.specs.views.pictures import Watched, brightness, sharpness
from loopline.platform_core.specs.views.windows import Window, windows
from loopline.platform_core.targets import (
    Binary,
    Count,
    Forecast,
    Graph,
    Multiclass,
    Multilabel,
    Output,
    Ranking,
    Regression,
    Target,
)

__all__ = [
    "P99",
    "Apart",
    "AtLeast",
    "AtMost",
    "Batch",
    "BeatsBaseline",
    "BeatsChampion",
    "Binary",
    "Both",
    "Choice",
    "Count",
    "DirectForecast",
    "Drift",
    "ErrorRate",
    "EstimatedQuality",
    "Estimator",
    "Evidence",
    "Examples",
    "Experiment",
    "Explain",
    "FairAcross",
    "Fairness",
    "FeatureView",
    "Finding",
    "Fit",
    "Forecast",
    "Gang",
    "Gate",
    "Graph",
    "Guardrail",
    "Inputs",
    "Judge",
    "Labels",
    "LogMetric",
    "Model",
    "Multiclass",
    "Multilabel",
    "Output",
    "Pairs",
    "Params",
    "PerExposure",
    "Pruned",
    "Quality",
    "Range",
    "Ranking",
    "Reading",
    "RealisedQuality",
    "Reasons",
    "Regression",
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
    "Target",
    "Team",
    "Tensor",
    "Traffic",
    "Watched",
    "Window",
    "brightness",
    "choice",
    "direct_forecast",
    "feature_view",
    "int_range",
    "labels",
    "log_range",
    "minutes",
    "models_in",
    "per_exposure",
    "rates",
    "sharpness",
    "uniform",
    "vector",
    "weekday",
    "windows",
]
