"""A kind of models of the team's own: rows that are odd, told by a score without a scale, however few are looked at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from math import ceil
from typing import TYPE_CHECKING, Any, ClassVar

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.metrics import Metric, Predictions
from loopline.platform_core.metrics.rankings import AveragePrecision
from loopline.specs import Output, Target

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.metrics.intervals import Interval
    from loopline.platform_core.metrics.metric import Flags, Floats


@dataclass(frozen=True)
class PrecisionAtShare(Metric):
    """Of the oddest rows, as many as somebody looks at, the share that is an anomaly."""

    _: KW_ONLY
    looked_at_share: float

    def value(self, rows: Predictions) -> float | None:
        """Return the share."""
        return float((self._first(rows) > 0).mean()) if len(rows) else None

    def interval(self, rows: Predictions) -> Interval | None:
        """Return it with the interval of Wilson."""
        from loopline.platform_core.metrics import intervals

        first = self._first(rows)
        return intervals.share(float((first > 0).sum()), float(len(first)))

    def _first(self, rows: Predictions) -> Floats:
        count = ceil(self.looked_at_share * len(rows))
        return rows.labels[(-rows.raw).argsort(kind="stable")[:count]]


@dataclass(frozen=True)
class Anomaly(Target):
    """A row whose score is above ``limit`` is odd; people look at the oddest ``share`` of all rows."""

    kind: ClassVar[str] = "anomaly"
    searched: ClassVar[str] = "average_precision"
    of_segments: ClassVar[tuple[str, ...]] = ("precision_at_share",)
    of_life: ClassVar[tuple[str, ...]] = ("precision_at_share", "average_precision")

    share: float = 0.05
    limit: float = 0.0

    @cached_property
    def metrics(self) -> Mapping[str, Metric]:
        """Return what people see, and how all rows are ranked."""
        looked_at = PrecisionAtShare("precision_at_share", looked_at_share=self.share)
        return {one.name: one for one in (looked_at, AveragePrecision("average_precision"))}

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Return the score, and whether it is above the limit."""
        return Output("oddness", "FP64"), Output("odd", "INT64")

    def problems(self) -> Iterable[tuple[str, str, str]]:
        """Refuse a share that is none."""
        if not 0 < self.share < 1:
            yield "share", f"{self.share} is no share", "write 0.05 for five of a hundred rows"

    def trouble(self, labels: pa.ChunkedArray) -> str:
        """Refuse what is neither 0 nor 1."""
        odd = [label for label in labels.unique().to_pylist() if label not in {0, 1, None}]
        return f"label {odd[0]}: return 1 for an anomaly, 0 for none, null where nobody has looked" if odd else ""

    def shortage(self, labels: Floats) -> str:
        """Ask for both: without an anomaly nobody knows whether one would be found."""
        return "" if 0 < (labels > 0).sum() < len(labels) else f"{len(labels)} rows of one kind: it needs both"

    def predictions(self, estimator: Any, x: Floats) -> Floats:
        """Return scikit-learn's decision function, turned round: it falls for odd rows."""
        import numpy as np

        if not hasattr(estimator, "decision_function") or hasattr(estimator, "predict_proba"):
            problem = f"'fit' returned a {type(estimator).__name__}, which is no detector of outliers"
            raise InvalidSpec(problem, "return one such as IsolationForest, or declare Model(target=Binary())")
        return -np.asarray(estimator.decision_function(x), dtype=np.float64)

    def served(self, given: Floats) -> Floats:
        """Return the same of ONNX, whose last output is the decision function as a column."""
        return given if given.ndim == 1 else -given[:, 0]

    def decided(self, raw: Floats) -> Flags:
        """Return which rows are odd."""
        return raw > self.limit

    def answer(self, raw: Sequence[float]) -> Mapping[str, list[Any]]:
        """Return scores and whether they are above the limit."""
        return {"oddness": list(raw), "odd": [int(score > self.limit) for score in raw]}

    def marked(self, labels: Floats) -> Sequence[Flags]:
        """Mark anomalies, which take longer to be known, and the others."""
        return [labels > 0, labels <= 0]

    def described(self, labels: Floats) -> Mapping[str, float]:
        """Count the anomalies."""
        return {"anomalies": int((labels > 0).sum())}
