"""Binary classification: labels are 0 or 1, the model returns the probability of 1."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING, Any, ClassVar

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.estimation import Chances, Estimation
from loopline.platform_core.metrics.losses import LEAST_COMPARED, MeanLoss, squares, surprise
from loopline.platform_core.metrics.rankings import AreaUnderRoc, AveragePrecision
from loopline.platform_core.metrics.shares import F1, Share
from loopline.platform_core.targets.fitted_as import made_by, regresses
from loopline.platform_core.targets.number_labels import number_labels
from loopline.platform_core.targets.target import Learns, Output, Target

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.metrics.metric import Flags, Floats, Metric, Predictions

_PROBABLE = {"binary", "cross_entropy", "custom"}
"""LightGBM's objectives whose booster predicts probabilities; of one of a team's own nobody knows."""
_ALL: tuple[Metric, ...] = (
    AreaUnderRoc("roc_auc"),
    AveragePrecision("average_precision", followed=False),
    MeanLoss("log_loss", top=float("inf"), loss=surprise, most=-log(LEAST_COMPARED)),
    MeanLoss("brier", loss=squares),
    Share("recall", count=lambda chances, flagged: (chances, chances * flagged), of_groups=True),
    Share("precision", count=lambda chances, flagged: (flagged, chances * flagged), of_groups=True),
    F1("f1", followed=False),
    Share("accuracy", count=lambda chances, flagged: (flagged | True, chances * flagged + (1 - chances) * ~flagged)),
    Share(
        "false_positive_rate",
        better="lower",
        followed=False,
        count=lambda chances, flagged: (1 - chances, (1 - chances) * flagged),
        of_groups=True,
    ),
    Share(
        "positive_rate",
        better="neither",
        needs_labels=False,
        count=lambda _, flagged: (flagged | True, flagged),
        of_groups=True,
    ),
    Share(
        "positives", better="neither", needs_decision=False, count=lambda chances, flagged: (flagged | True, chances)
    ),
)
METRICS: Mapping[str, Metric] = {one.name: one for one in _ALL}
"""By name. ``positive_rate`` is the share of rows that are flagged, ``positives`` the share that is positive."""
_OUTPUTS = Output("probability", "FP64"), Output("label", "INT64")


@dataclass(frozen=True)
class Binary(Target):
    """A row is flagged, its ``label`` 1, where its probability reaches ``threshold``."""

    kind: ClassVar[str] = "binary"
    searched: ClassVar[str] = "roc_auc"
    of_segments: ClassVar[tuple[str, ...]] = ("roc_auc", "recall")
    of_life: ClassVar[tuple[str, ...]] = ("roc_auc", "recall")
    estimation: ClassVar[Estimation | None] = Chances()
    learns: ClassVar[Learns] = "classes"

    threshold: float = 0.5

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Return metrics of ranking, of probabilities, and of what is flagged."""
        return METRICS

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Return the probability of label 1, and whether it reaches the threshold."""
        return _OUTPUTS

    def problems(self) -> Iterable[tuple[str, str, str]]:
        """Refuse a threshold that all rows reach, or none."""
        if not 0 < self.threshold < 1:
            yield "threshold", f"{self.threshold} is no probability", "write a number between 0 and 1"

    def trouble(self, labels: pa.ChunkedArray) -> str:
        """Refuse what is neither 0 nor 1."""
        import pyarrow as pa
        from pyarrow import compute

        there, told = number_labels(labels)
        odd = there.filter(compute.invert(compute.is_in(there, pa.array([0.0, 1.0]))))
        return f"label {odd[0]} in {len(odd)} rows: return 0 or 1" if len(odd) else told

    def shortage(self, labels: Floats) -> str:
        """Ask for both labels."""
        import numpy as np

        if len(np.unique(labels)) > 1:
            return ""
        return f"{len(labels)} rows and {int(labels.sum())} positives: it needs both labels"

    def predictions(self, estimator: Any, x: Floats) -> Floats:
        """Return probabilities of label 1; LightGBM's own booster predicts them as is."""
        import numpy as np

        if hasattr(estimator, "predict_proba"):
            given = np.asarray(estimator.predict_proba(x), dtype=np.float64)
            if given.ndim != 2 or given.shape[1] != 2:  # noqa: PLR2004 - labels 0 and 1
                instead = "Multiclass(classes=(...))"
                raise _refused(estimator, f"gives probabilities of shape {given.shape} for {len(x)} rows", instead)
            return given[:, 1]
        if regresses(estimator, _PROBABLE):
            raise _refused(estimator, "is a regressor")
        answers = np.asarray(estimator.predict(x), dtype=np.float64)
        if answers.shape != (len(x),) or not np.all((answers >= 0) & (answers <= 1)):
            raise _refused(estimator, "has no predict_proba, and what it predicts are no probabilities")
        return answers

    def served(self, given: Floats) -> Floats:
        """Return the probabilities of label 1, the second where there are those of both."""
        return given if given.ndim == 1 else given[:, 1]

    def decided(self, raw: Floats) -> Flags:
        """Return which rows are flagged."""
        return raw >= self.threshold

    def bounds(self) -> Mapping[str, float | None]:
        """Return that a device compares the probability with the threshold."""
        return {"probability": None, "label": self.threshold}

    def answer(self, raw: Sequence[float]) -> Mapping[str, list[Any]]:
        """Return probabilities and labels."""
        threshold = self.threshold
        return {"probability": raw, "label": [int(score >= threshold) for score in raw]}  # type: ignore[dict-item]

    def marked(self, labels: Floats) -> Sequence[Flags]:
        """Mark positives and negatives."""
        return [labels > 0, labels <= 0]

    def described(self, labels: Floats) -> Mapping[str, float]:
        """Count the positives."""
        return {"positives": int((labels == 1).sum())}

    def judged(self, rows: Predictions) -> dict[str, float]:
        """Return the metrics; the precision of a version that flags nothing is 0, not unknown."""
        found = self.values(rows)
        return found | {"precision": found.get("precision", 0.0)}


def _refused(estimator: Any, why: str, instead: str = "Regression()") -> InvalidSpec:
    return InvalidSpec(
        f"'fit' returned a {made_by(estimator)}, which {why}: the model's target is Binary, which tells 0 and 1 apart",
        f"return a classifier of two labels, or declare another target, such as Model(target={instead})",
    )
