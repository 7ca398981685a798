"""Multilabel classification: labels are lists of classes, the model returns a probability for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from loopline.platform_core.estimation.class_chances import LabelChances
from loopline.platform_core.foundation.number_lists import there
from loopline.platform_core.metrics.label_sets import Jaccard, LabelF1, LabelLogLoss, LabelRanking, SubsetAccuracy
from loopline.platform_core.targets.label_chances import label_chances
from loopline.platform_core.targets.names import as_names
from loopline.platform_core.targets.target import Output, Target
from loopline.platform_core.targets.usual_drawings import of_label_sets

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from loopline.platform_core.estimation import Estimation
    from loopline.platform_core.metrics.metric import Floats, Metric, Predictions
    from loopline.platform_core.targets.drawing import About, Drawing

_LEAST_CLASSES = 2
_TOLD = 5
"""Classes of which a description counts the rows, the most frequent ones."""


@dataclass(frozen=True)
class Multilabel(Target):
    """Any number of ``classes``, texts or whole numbers; the label function returns the list of those that hold.

    A row of none has an empty list; null is no label. ``fit`` is given (rows, classes) of 0 and 1. A class is answered
    as one that holds where its chance is ``threshold`` or more.
    """

    kind: ClassVar[str] = "multilabel"
    searched: ClassVar[str] = "log_loss"
    of_segments: ClassVar[tuple[str, ...]] = ("jaccard", "log_loss")
    of_life: ClassVar[tuple[str, ...]] = ("jaccard", "micro_f1")
    estimation: ClassVar[Estimation | None] = LabelChances(
        ("log_loss", "micro_f1", "macro_f1", "subset_accuracy", "jaccard", "label_ranking")
    )

    classes: tuple[str | int, ...] = ()
    threshold: float = 0.5

    def __post_init__(self) -> None:
        """Take classes in any sequence.

        Raises:
            InvalidSpec: they are one text, each letter of which would be a class.
        """
        object.__setattr__(self, "classes", as_names("classes", self.classes))

    @cached_property
    def metrics(self) -> Mapping[str, Metric]:
        """Return metrics of chances, and of what is answered."""
        every: tuple[Metric, ...] = (
            LabelLogLoss("log_loss"),
            LabelF1("micro_f1", threshold=self.threshold),
            LabelF1("macro_f1", threshold=self.threshold, by_class=True),
            SubsetAccuracy("subset_accuracy", threshold=self.threshold),
            Jaccard("jaccard", threshold=self.threshold),
            LabelRanking("label_ranking"),
        )
        return {one.name: one for one in every}

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Return of each class in their order whether it holds, and its chance."""
        return Output("labels", "INT64", self.width), Output("probabilities", "FP64", self.width)

    @property
    def width(self) -> int:
        """Return how many classes there are."""
        return len(self.classes)

    @property
    def label_width(self) -> int:
        """Return how many classes there are: a label says of each whether it holds."""
        return len(self.classes)

    @property
    def placed(self) -> tuple[str | int, ...]:
        """Return the classes."""
        return self.classes

    def problems(self) -> Iterable[tuple[str, str, str]]:
        """Refuse classes that are too few, named twice or of two types, and a threshold that is no chance."""
        named = self.classes
        if len(named) < _LEAST_CLASSES:
            yield "classes", f"{len(named)} classes are no choice", "name all that may hold; of one class use Binary()"
        if twice := sorted({str(one) for one in named if named.count(one) > 1}):
            yield "classes", f"{', '.join(twice)} named twice", "name each class once"
        if any(isinstance(one, bool) for one in named) or len({type(one) for one in named}) > 1:
            yield "classes", f"{list(named)} are not of one type", "name texts, or whole numbers, as labels are"
        if not 0 < self.threshold < 1:
            yield "threshold", f"{self.threshold:g} is no chance to decide by", "write a number between 0 and 1"

    def trouble(self, labels: pa.ChunkedArray) -> str:
        """Refuse what is no list, and names that are not declared."""
        import pyarrow as pa
        from pyarrow import compute

        if labels.null_count == len(labels):
            return ""
        if not pa.types.is_list(labels.type):
            first = labels.filter(compute.is_valid(labels))[0]
            return f"label {first} is no list: return the classes that hold, an empty list where none does"
        codes = self._codes(labels)
        odd = labels.filter(self._has_unknown(labels, codes))
        return f"label {odd[0]} in {len(odd)} rows: name all of it in classes, or return null" if len(odd) else ""

    def shortage(self, labels: Floats) -> str:
        """Ask for a class that holds in some rows and not in others."""
        known = labels[there(labels)]
        if len(known) and (known.min(axis=0) < known.max(axis=0)).any():
            return ""
        return f"{len(known)} rows, in all of which the same classes hold: some must hold in some of them only"

    def encoded(self, labels: pa.ChunkedArray) -> Floats:
        """Return (rows, classes) of 0 and 1, NaN where there is no label."""
        import numpy as np
        import pyarrow as pa

        found = np.full((len(labels), self.width), np.nan)
        if not pa.types.is_list(labels.type):
            return found
        whole = labels.combine_chunks()
        found[np.asarray(whole.is_valid())] = 0.0
        rows = _rows_of(whole)
        codes = np.asarray(self._codes(labels).fill_null(-1))
        found[rows[codes >= 0], codes[codes >= 0]] = 1.0
        return found

    def predictions(self, estimator: Any, x: Floats) -> Floats:
        """Return the chances of all classes."""
        return label_chances(estimator, x, self.width)

    def served(self, given: Floats) -> Floats:
        """Return chances as they are."""
        return given

    def reading(self, raw: Floats) -> Floats:
        """Return how many classes are expected to hold: it falls where inputs are such as were never learnt."""
        expected: Floats = raw.sum(axis=1)
        return expected

    def decided(self, raw: Floats) -> NDArray[Any]:
        """Return how many classes are answered as holding."""
        count: NDArray[Any] = (raw >= self.threshold).sum(axis=1)
        return count

    def answer(self, raw: Sequence[Sequence[float]]) -> Mapping[str, list[Any]]:
        """Return of each class whether it holds, and its chance."""
        hold = [[int(chance >= self.threshold) for chance in row] for row in raw]
        return {"labels": hold, "probabilities": raw}  # type: ignore[dict-item]

    def described(self, labels: Floats) -> Mapping[str, float]:
        """Say how many classes hold in a row, and in how many rows the most frequent ones do."""
        known = labels[there(labels)]
        counts = known.sum(axis=0).astype(int).tolist()
        most = sorted((code for code in range(self.width) if counts[code]), key=lambda code: (-counts[code], code))
        told = {f"class {self.classes[code]}": counts[code] for code in most[:_TOLD]}
        return {"classes": len(most), "classes a row": round(float(known.sum() / max(len(known), 1)), 3), **told}

    def drawings(self, rows: Predictions, about: Sequence[About]) -> Sequence[Drawing]:  # noqa: ARG002
        """Draw how often classes hold, by their chances."""
        return [*of_label_sets(rows)]

    def _codes(self, labels: pa.ChunkedArray) -> pa.Array:
        """Look up each element of all lists among the classes; null where there is none such."""
        import pyarrow as pa
        from pyarrow import compute

        elements = labels.combine_chunks().flatten()
        is_text = not pa.types.is_floating(elements.type) and not pa.types.is_integer(elements.type)
        if is_text != all(isinstance(one, str) for one in self.classes):
            return pa.nulls(len(elements), pa.int32())
        kind = pa.string() if is_text else pa.float64()
        return compute.index_in(elements.cast(kind), value_set=pa.array(self.classes).cast(kind))

    def _has_unknown(self, labels: pa.ChunkedArray, codes: pa.Array) -> pa.Array:
        import numpy as np
        import pyarrow as pa

        odd = np.zeros(len(labels), np.bool_)
        odd[_rows_of(labels.combine_chunks())[np.asarray(codes.is_null())]] = True
        return pa.array(odd)


def _rows_of(lists: pa.Array) -> NDArray[Any]:
    """Return the row of each element."""
    import numpy as np
    from pyarrow import compute

    return np.asarray(compute.list_parent_indices(lists))
