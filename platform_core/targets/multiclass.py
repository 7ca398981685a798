"""Multiclass classification: labels are classes, the model returns a probability for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from loopline.platform_core.estimation.class_chances import ClassChances
from loopline.platform_core.metrics.classes import (
    BalancedAccuracy,
    ClassLogLoss,
    MacroF1,
    TopAccuracy,
)
from loopline.platform_core.metrics.sureness import CalibrationError
from loopline.platform_core.targets.class_chances import class_chances
from loopline.platform_core.targets.names import as_names
from loopline.platform_core.targets.target import Learns, Output, Target
from loopline.platform_core.targets.usual_drawings import of_classes

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from loopline.platform_core.estimation import Estimation
    from loopline.platform_core.metrics.metric import Flags, Floats, Metric, Predictions
    from loopline.platform_core.targets.drawing import About, Drawing

_LEAST_CLASSES = 2
_TOLD = 5
"""Classes of which a description counts the labels, the most frequent ones."""


@dataclass(frozen=True)
class Multiclass(Target):
    """One of ``classes``: texts, or whole numbers, as the label function returns them.

    ``fit`` is given a class's position in ``classes`` as its label. New classes are written behind the others, and one
    that is gone keeps its place: logs know classes by their places. ``top_k`` says among how many of the likeliest
    classes the right one counts as found, for ``top_k_accuracy``.
    """

    kind: ClassVar[str] = "multiclass"
    searched: ClassVar[str] = "log_loss"
    of_segments: ClassVar[tuple[str, ...]] = ("accuracy", "log_loss")
    of_life: ClassVar[tuple[str, ...]] = ("accuracy", "macro_f1")
    learns: ClassVar[Learns] = "classes"
    rare_after: ClassVar[int | None] = 300  # by then a class that is one in a hundred came in 19 of 20 cases
    estimation: ClassVar[Estimation | None] = ClassChances(
        ("log_loss", "accuracy", "balanced_accuracy", "macro_f1", "top_k_accuracy")
    )

    classes: tuple[str | int, ...] = ()
    top_k: int = 2

    def __post_init__(self) -> None:
        """Take classes in any sequence.

        Raises:
            InvalidSpec: they are one text, each letter of which would be a class.
        """
        object.__setattr__(self, "classes", as_names("classes", self.classes))

    @cached_property
    def metrics(self) -> Mapping[str, Metric]:
        """Return metrics of probabilities, of what is answered, and of how sure it is."""
        every: tuple[Metric, ...] = (
            ClassLogLoss("log_loss"),
            TopAccuracy("accuracy"),
            BalancedAccuracy("balanced_accuracy"),
            MacroF1("macro_f1"),
            TopAccuracy("top_k_accuracy", count=self.top_k),
            CalibrationError("calibration_error", followed=False),
        )
        return {one.name: one for one in every}

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Return the likeliest class, its probability, and those of all classes in their order."""
        kind = "INT64" if self._is_numbered else "BYTES"
        return Output("label", kind), Output("probability", "FP64"), Output("probabilities", "FP64", self.width)

    @property
    def width(self) -> int:
        """Return how many classes there are."""
        return len(self.classes)

    @property
    def placed(self) -> tuple[str | int, ...]:
        """Return the classes."""
        return self.classes

    def problems(self) -> Iterable[tuple[str, str, str]]:
        """Refuse classes that are too few, named twice or of two types, and a top that is none."""
        named = self.classes
        if len(named) < _LEAST_CLASSES:
            yield "classes", f"{len(named)} classes leave nothing to tell apart", "name all that a label may be"
        if twice := sorted({str(one) for one in named if named.count(one) > 1}):
            yield "classes", f"{', '.join(twice)} named twice", "name each class once"
        if any(isinstance(one, bool) for one in named):
            yield (
                "classes",
                f"{list(named)} are truth values",
                "write texts in quotes: YAML reads yes and no as true and false",
            )
        elif len({type(one) for one in named}) > 1:
            yield "classes", f"{list(named)} are not of one type", "name texts, or whole numbers, as labels are"
        if not 1 <= self.top_k <= max(1, len(named)):
            fix = f"write a number from 1 to {max(1, len(named))}"
            yield "top_k", f"{self.top_k} of {len(named)} classes tell nothing", fix

    def trouble(self, labels: pa.ChunkedArray) -> str:
        """Refuse what is not declared."""
        from pyarrow import compute

        codes = self._codes(labels)
        odd = labels.filter(compute.and_(compute.is_valid(labels), compute.is_null(codes)))
        return f"label {odd[0]} in {len(odd)} rows: name it in classes, or return null" if len(odd) else ""

    def shortage(self, labels: Floats) -> str:
        """Ask for two classes."""
        import numpy as np

        there = np.unique(labels[np.isfinite(labels)])
        if len(there) >= _LEAST_CLASSES:
            return ""
        return f"{len(labels)} rows of {len(there)} class(es): it needs two at least"

    def encoded(self, labels: pa.ChunkedArray) -> Floats:
        """Return each label's position among the classes, NaN where there is none."""
        import numpy as np

        return np.asarray(self._codes(labels).cast("float64").to_numpy(), dtype=np.float64)

    def predictions(self, estimator: Any, x: Floats) -> Floats:
        """Return probabilities of all classes; one that the estimator has not learnt has 0."""
        return self.served(class_chances(estimator, x, self.width))

    def served(self, given: Floats) -> Floats:
        """Return the probabilities of all classes; one number a row is that of the second of two."""
        import numpy as np

        return np.column_stack([1 - given, given]) if given.ndim == 1 and self.width == _LEAST_CLASSES else given

    def reading(self, raw: Floats) -> Floats:
        """Return the probability of the class that is answered: how sure the model is.

        It needs no order of the classes, is one scale for any number of them, and falls where inputs become such as
        were never learnt. A shift from one class to another that leaves it as it was is seen in ``raw``.
        """
        sure: Floats = raw.max(axis=1)
        return sure

    def decided(self, raw: Floats) -> NDArray[np.int64]:
        """Return the position of the likeliest class; of those that are as likely the first."""
        import numpy as np

        return np.asarray(raw.argmax(axis=1), dtype=np.int64)

    def baseline(self, labels: Floats) -> Floats:
        """Return how frequent each class is."""
        import numpy as np

        counts = np.bincount(labels[np.isfinite(labels)].astype(np.int64), minlength=self.width)
        shares: Floats = counts / counts.sum()
        return shares

    def explained(self, raw: Floats) -> NDArray[np.int64]:
        """Return the class that is answered."""
        return self.decided(raw)

    def answer(self, raw: Sequence[Sequence[float]]) -> Mapping[str, list[Any]]:
        """Return the likeliest class, its probability, and all probabilities."""
        sure = [max(row) for row in raw]
        labels = [self.classes[row.index(most)] for row, most in zip(raw, sure, strict=True)]
        return {"label": labels, "probability": sure, "probabilities": raw}  # type: ignore[dict-item]

    def marked(self, labels: Floats) -> Sequence[Flags]:
        """Mark the rows of each class."""
        return [labels == code for code in range(self.width)]

    def described(self, labels: Floats) -> Mapping[str, float]:
        """Count the classes that came, and the labels of the most frequent ones."""
        import numpy as np

        counts = np.bincount(labels[np.isfinite(labels)].astype(np.int64), minlength=self.width)
        most = sorted(np.flatnonzero(counts).tolist(), key=lambda code: (-counts[code], code))
        told = {f"class {self.classes[code]}": int(counts[code]) for code in most[:_TOLD]}
        return {"classes": len(most), **told}

    def drawings(self, rows: Predictions, about: Sequence[About]) -> Sequence[Drawing]:  # noqa: ARG002
        """Draw which class was taken for which, and how sure answers are."""
        return [*of_classes(rows, self.classes)]

    @property
    def _is_numbered(self) -> bool:
        return bool(self.classes) and all(isinstance(one, int) for one in self.classes)

    def _codes(self, labels: pa.ChunkedArray) -> pa.ChunkedArray:
        """Look labels up among the classes; null where there is none such."""
        import pyarrow as pa
        from pyarrow import compute

        is_text = not pa.types.is_floating(labels.type) and not pa.types.is_integer(labels.type)
        if is_text == self._is_numbered:
            return pa.chunked_array([pa.nulls(len(labels), pa.int32())])
        kind = pa.string() if is_text else pa.float64()
        return compute.index_in(labels.cast(kind), value_set=pa.array(self.classes).cast(kind))
