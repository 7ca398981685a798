"""A model of several steps, as docs/how-to/answer-by-several-steps.md has it."""

from __future__ import annotations

from lightgbm import LGBMClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from loopline import graphs, specs

target = specs.Graph(of=specs.Binary(threshold=0.15), steps={"linear": 1, "trees": 1})


def two_and_their_mean(
    train: specs.Examples, valid: specs.Examples, params: specs.Params, report: specs.Report
) -> specs.Estimator:
    """Fit a linear model and trees; answer by their mean, in which the trees count twice."""
    binary = specs.Binary()
    linear = make_pipeline(SimpleImputer(), LogisticRegression()).fit(train.x, train.y)
    trees = LGBMClassifier(n_estimators=20, verbosity=-1).fit(train.x, train.y)
    return graphs.Graph.of(
        train,
        graphs.Predict("linear", linear, binary),
        graphs.Predict("trees", trees, binary),
        graphs.Mean("mean", ("linear", "trees"), weights=(1, 2)),
    )
