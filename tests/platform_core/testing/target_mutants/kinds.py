"""Each of these breaks the promise that its first line names, and no other one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from loopline.platform_core.metrics.errors import MeanError, RootMeanSquare
from loopline.platform_core.metrics.metric import Losses
from loopline.platform_core.specs import Binary, Count, Forecast, Multiclass, Output, Ranking, Regression
from loopline.platform_core.targets.drawing import Curve, Dot, Plot
from tests.platform_core.testing.mutant import mutant


@dataclass(frozen=True)
class Demanding(Regression):
    """Breaks promise 1: nobody can ask it for its metrics without knowing a unit."""

    def __post_init__(self):  # noqa: D105 - its class says it
        if not self.unit:
            raise ValueError("a unit, please")


@dataclass(frozen=True)
class Nameless(Regression):
    """Breaks promise 1: its metrics have the unit in their names, so that no gate can name one."""

    @property
    def metrics(self):
        return super().metrics | ({f"mae_{self.unit}": MeanError("mae")} if self.unit else {})


@dataclass(frozen=True)
class Forgetful(Regression):
    """Breaks promise 2: a package does not hold its unit."""

    def to_json(self):
        return {"kind": self.kind, "largest_error": self.largest_error}


@dataclass(frozen=True)
class Exotic(Binary):
    """Breaks promise 2: a setting is no JSON."""

    tags: frozenset[str] = frozenset({"a"})


def known(numbers):
    """Say of each number that it is one."""
    return numbers == numbers  # noqa: PLR0124 - NaN is not itself


class Startled(Count):
    """Breaks promise 3: a text is no label that it can look at."""

    def trouble(self, labels):
        labels.cast("float64")
        return super().trouble(labels)


class Trusting(Regression):
    """Breaks promise 6: whatever predicts is taken for a regressor."""

    def predictions(self, estimator, x):
        said = estimator.predict_proba(x)[:, 1] if hasattr(estimator, "predict_proba") else estimator.predict(x)
        return self.served(said)


class Loud(MeanError):  # noqa: N818 - a metric
    """A metric of which a row may lose more than all."""

    def losses(self, rows):
        return Losses(super().losses(rows).values * 9, self.most)


class Turned(MeanError):  # noqa: N818 - a metric
    """A metric of which a row loses what it gained."""

    def losses(self, rows):
        return Losses(1 - super().losses(rows).values, self.most)


class Rescaled(MeanError):  # noqa: N818 - a metric
    """A metric of which a row loses as a share of the worst of all rows."""

    def losses(self, rows):
        missed = self.of_rows(rows)
        return Losses(missed / missed.max(), float(missed.max()))


class Squared(RootMeanSquare):
    """A metric whose interval is that of its square."""

    def interval(self, rows):
        from loopline.platform_core.metrics import intervals  # it brings numpy

        return intervals.mean(self.of_rows(rows))


class Certain(RootMeanSquare):
    """A metric that is sure of itself."""

    def interval(self, rows):
        from loopline.platform_core.metrics.intervals import Interval  # it brings numpy

        value = self.value(rows)
        return None if value is None else Interval(value, value, value)


class Picky(Count):
    """Breaks promise 12: no form but one that says the very same numbers will do."""

    def apart(self, own, served):
        same = own.shape == served.shape and (own == served).all()
        return (0.0, "") if same else (1.0, "it differs")


class Blind(Count):
    """Breaks promise 12: a number that is none differs from nothing."""

    def apart(self, own, served):
        there = known(served)
        return super().apart(own[: len(served)][there], served[there]) if own.shape == served.shape else (1.0, "shape")


def breaks(promise, base, name, **instead):
    """Make a kind that breaks a promise, of which one thing is otherwise."""
    made = mutant(base, name, **instead)
    made.__module__, made.__doc__ = __name__, f"Breaks promise {promise}:"
    return made


def metric(change):
    """Make a property of metrics of which some are others."""
    return property(lambda up, own: {**up.metrics, **change(up.metrics, own)})


NO_DRAWING = [Plot("errors", "step", "pieces", [Curve("none", [Dot(1.0, float("nan"))])])]
MUTANTS = [
    *(Demanding, Nameless, Forgetful, Exotic, Startled, Trusting, Picky, Blind),
    # any number is a label
    breaks(3, Binary, "Patient", trouble=lambda *_: ""),
    # null is none of its labels
    breaks(
        3,
        Binary,
        "Fussy",
        trouble=lambda up, _, labels: "label null: return 0 or 1" if labels.null_count else up.trouble(labels),
    ),
    # without a label it was 0
    breaks(3, Regression, "Presuming", encoded=lambda up, _, labels: up.encoded(labels.fill_null(0.0))),
    # one label is enough
    breaks(4, Binary, "Content", shortage=lambda up, _, labels: "" if len(labels) else up.shortage(labels)),
    # never enough
    breaks(4, Binary, "Greedy", shortage=lambda *_: "more rows"),
    # a row of which one step has come is enough to learn from
    breaks(
        4, Forecast, "Impatient", shortage=lambda _up, _, labels: "" if len({*labels[:, 0].tolist()}) > 1 else "nothing"
    ),
    # the estimator's probabilities come in less digits than those of its forms
    breaks(5, Multiclass, "Short", predictions=lambda up, _, *given: up.predictions(*given).astype("float32")),
    # a row's reading depends on those that stand beside it
    breaks(7, Regression, "Relative", reading=lambda _up, _, raw: raw - raw.mean()),
    # a row has several readings
    breaks(7, Multiclass, "Whole", reading=lambda _up, _, raw: raw),
    # what is served depends on how many rows are asked at once
    breaks(7, Regression, "Crowded", served=lambda up, _, given: up.served(given) * (1 + 1e-9 * len(given))),
    # an answer lacks what is said to be in it
    breaks(
        8,
        Multiclass,
        "Silent",
        answer=lambda up, _, raw: {name: values for name, values in up.answer(raw).items() if name != "probability"},
    ),
    # labels are truth values, and said to be whole numbers
    breaks(
        8,
        Binary,
        "Mistyped",
        answer=lambda up, own, raw: {**up.answer(raw), "label": [score >= own.threshold for score in raw]},
    ),
    # as many numbers come as there are classes, and one is said to
    breaks(8, Multiclass, "Narrow", outputs=property(lambda up, _: (*up.outputs[:2], Output("probabilities", "FP64")))),
    # more error is called better
    breaks(9, Regression, "Upside", metrics=metric(lambda *_: {"rmse": RootMeanSquare("rmse", better="higher")})),
    # not even right answers reach what a metric calls its best
    breaks(9, Binary, "Unreached", metrics=metric(lambda all_, _: {"f1": replace(all_["f1"], top=2.0)})),
    # losses have no bound
    breaks(10, Regression, "Losing", metrics=metric(lambda _, own: {"mae": Loud("mae", most=own.largest_error)})),
    # the better model loses more
    breaks(10, Regression, "Praising", metrics=metric(lambda _, own: {"mae": Turned("mae", most=own.largest_error)})),
    # what a row loses depends on rows that are still to come
    breaks(
        10, Regression, "Foreseeing", metrics=metric(lambda _, own: {"mae": Rescaled("mae", most=own.largest_error)})
    ),
    # the value lies outside of its interval
    breaks(11, Regression, "Elsewhere", metrics=metric(lambda *_: {"rmse": Squared("rmse")})),
    # an interval without a width
    breaks(11, Regression, "Doubtless", metrics=metric(lambda *_: {"rmse": Certain("rmse")})),
    # every form is good enough
    breaks(12, Count, "Lenient", apart=lambda *_: (0.0, "")),
    # a positive is of both classes
    breaks(13, Binary, "Overlapping", marked=lambda _up, _, labels: [labels >= 0, labels > 0]),
    # a class without a label is none
    breaks(
        13, Multiclass, "Vanishing", marked=lambda up, _, labels: [rows for rows in up.marked(labels) if rows.any()]
    ),
    # each item of a label that is a list is marked for itself
    breaks(13, Ranking, "Itemised", marked=lambda _up, _, labels: [known(labels)]),
    # nothing is said of the labels
    breaks(14, Regression, "Mute", described=lambda *_: {}),
    # what it says takes the place of what pins a training set
    breaks(14, Count, "Usurping", described=lambda _up, _, labels: {"rows": len(labels)}),
    # it draws what JSON cannot hold
    breaks(14, Forecast, "Sketchy", drawings=lambda *_: NO_DRAWING),
    # its baseline is a class, and no probabilities
    breaks(
        15, Multiclass, "Bare", baseline=lambda up, _, labels: up.baseline(labels).argmax(keepdims=True).astype(float)
    ),
    # an explanation is of a class that there is not
    breaks(15, Multiclass, "Pointing", explained=lambda up, _, raw: up.explained(raw) + 1),
]
