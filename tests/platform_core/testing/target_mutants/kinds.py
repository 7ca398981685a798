"""Each of these breaks the promise that its first line names, and no other one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from loopline.platform_core.metrics.errors import MeanError, RootMeanSquare
from loopline.platform_core.metrics.metric import Losses
from loopline.platform_core.specs import Binary, Count, Forecast, Multiclass, Output, Ranking, Regression
from loopline.platform_core.targets.drawing import Curve, Dot, Plot


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


class Patient(Binary):
    """Breaks promise 3: any number is a label."""

    def trouble(self, labels):
        return ""


class Fussy(Binary):
    """Breaks promise 3: null is none of its labels."""

    def trouble(self, labels):
        return "label null: return 0 or 1" if labels.null_count else super().trouble(labels)


class Startled(Count):
    """Breaks promise 3: a text is no label that it can look at."""

    def trouble(self, labels):
        labels.cast("float64")
        return super().trouble(labels)


class Presuming(Regression):
    """Breaks promise 3: without a label it was 0."""

    def encoded(self, labels):
        return super().encoded(labels.fill_null(0.0))


class Content(Binary):
    """Breaks promise 4: one label is enough."""

    def shortage(self, labels):
        return "" if len(labels) else super().shortage(labels)


class Greedy(Binary):
    """Breaks promise 4: never enough."""

    def shortage(self, labels):
        return "more rows"


class Short(Multiclass):
    """Breaks promise 5: the estimator's probabilities come in less digits than those of its forms."""

    def predictions(self, estimator, x):
        return super().predictions(estimator, x).astype("float32")


class Trusting(Regression):
    """Breaks promise 6: whatever predicts is taken for a regressor."""

    def predictions(self, estimator, x):
        said = estimator.predict_proba(x)[:, 1] if hasattr(estimator, "predict_proba") else estimator.predict(x)
        return self.served(said)


class Relative(Regression):
    """Breaks promise 7: a row's reading depends on those that stand beside it."""

    def reading(self, raw):
        return raw - raw.mean()


class Whole(Multiclass):
    """Breaks promise 7: a row has several readings."""

    def reading(self, raw):
        return raw


class Silent(Multiclass):
    """Breaks promise 8: an answer lacks what is said to be in it."""

    def answer(self, raw):
        return {name: values for name, values in super().answer(raw).items() if name != "probability"}


class Mistyped(Binary):
    """Breaks promise 8: labels are truth values, and said to be whole numbers."""

    def answer(self, raw):
        return {**super().answer(raw), "label": [score >= self.threshold for score in raw]}


class Narrow(Multiclass):
    """Breaks promise 8: as many numbers come as there are classes, and one is said to."""

    @property
    def outputs(self):
        return (*super().outputs[:2], Output("probabilities", "FP64"))


class Upside(Regression):
    """Breaks promise 9: more error is called better."""

    @property
    def metrics(self):
        return {**super().metrics, "rmse": RootMeanSquare("rmse", better="higher")}


class Unreached(Binary):
    """Breaks promise 9: not even right answers reach what a metric calls its best."""

    @property
    def metrics(self):
        return {**super().metrics, "f1": replace(super().metrics["f1"], top=2.0)}


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


class _WithMae(Regression):
    instead: ClassVar[type[MeanError]]

    @property
    def metrics(self):
        return {**super().metrics, "mae": self.instead("mae", most=self.largest_error)}


class Losing(_WithMae):
    """Breaks promise 10: losses have no bound."""

    instead = Loud


class Praising(_WithMae):
    """Breaks promise 10: the better model loses more."""

    instead = Turned


class Foreseeing(_WithMae):
    """Breaks promise 10: what a row loses depends on rows that are still to come."""

    instead = Rescaled


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


class Elsewhere(Regression):
    """Breaks promise 11: the value lies outside of its interval."""

    @property
    def metrics(self):
        return {**super().metrics, "rmse": Squared("rmse")}


class Doubtless(Regression):
    """Breaks promise 11: an interval without a width."""

    @property
    def metrics(self):
        return {**super().metrics, "rmse": Certain("rmse")}


class Lenient(Count):
    """Breaks promise 12: every form is good enough."""

    def apart(self, own, served):
        return 0.0, ""


class Picky(Count):
    """Breaks promise 12: no form but one that says the very same numbers will do."""

    def apart(self, own, served):
        same = own.shape == served.shape and (own == served).all()
        return (0.0, "") if same else (1.0, "it differs")


class Blind(Count):
    """Breaks promise 12: a number that is none differs from nothing."""

    def apart(self, own, served):
        there = served == served  # noqa: PLR0124 - NaN is not itself
        return super().apart(own[: len(served)][there], served[there]) if own.shape == served.shape else (1.0, "shape")


class Overlapping(Binary):
    """Breaks promise 13: a positive is of both classes."""

    def marked(self, labels):
        return [labels >= 0, labels > 0]


class Vanishing(Multiclass):
    """Breaks promise 13: a class without a label is none."""

    def marked(self, labels):
        return [rows for rows in super().marked(labels) if rows.any()]


class Itemised(Ranking):
    """Breaks promise 13: each item of a label that is a list is marked for itself."""

    def marked(self, labels):
        return [labels == labels]  # noqa: PLR0124 - NaN is not itself


class Mute(Regression):
    """Breaks promise 14: nothing is said of the labels."""

    def described(self, labels):
        return {}


class Usurping(Count):
    """Breaks promise 14: what it says takes the place of what pins a training set."""

    def described(self, labels):
        return {"rows": len(labels)}


class Sketchy(Forecast):
    """Breaks promise 14: it draws what JSON cannot hold."""

    def drawings(self, rows, about):
        return [Plot("errors", "step", "pieces", [Curve("none", [Dot(1.0, float("nan"))])])]


class Impatient(Forecast):
    """Breaks promise 4: a row of which one step has come is enough to learn from."""

    def shortage(self, labels):
        return "" if len({*labels[:, 0].tolist()}) > 1 else "nothing"


class Bare(Multiclass):
    """Breaks promise 15: its baseline is a class, and no probabilities."""

    def baseline(self, labels):
        return super().baseline(labels).argmax(keepdims=True).astype(float)


class Pointing(Multiclass):
    """Breaks promise 15: an explanation is of a class that there is not."""

    def explained(self, raw):
        return super().explained(raw) + 1
