"""Interface of a kind of models: its labels, raw outputs, metrics, comparisons and response tensors.

A kind is one file that subclasses ``Target``, named in the entry points of group ``loopline.targets``. It holds to the
promises of ``Target``; nothing outside its file names its metrics or outputs.
"""

from __future__ import annotations

import abc
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self

from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.foundation.number_lists import there
from loopline.platform_core.metrics.metric import Predictions

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from loopline.platform_core.estimation import Estimation
    from loopline.platform_core.metrics.metric import Floats, Metric
    from loopline.platform_core.targets.drawing import About, Drawing

Learns = Literal["classes", "numbers", "counts", ""]
"""What a kind learns, of what a family of estimators may know: positions of classes, numbers, numbers from 0 on."""
TOLERANCE = 1e-5
"""Largest difference of a number that a served form may show, as a share of it where it is larger than 1."""


class Output(NamedTuple):
    """A tensor of an answer: its name, its datatype in the Open Inference Protocol, and its values a row."""

    name: str
    datatype: str
    width: int = 1


@dataclass(frozen=True)
class Target(abc.ABC):
    """A kind of model with its settings, such as a threshold; all of them are JSON, and packages hold them.

    What a model returns is ``raw``: float64 (rows,), or (rows, ``width``) where that is more than one number. The log
    and whatever watches it know ``reading``, one number a row.

    Each kind can be made without settings. ``searched`` is the metric that a search goes by unless it names another;
    ``of_segments`` are measured of each segment when a version is trained; ``of_life`` are told of all that a version
    ever answered; ``decides`` is False where ``decided`` are the raw numbers themselves. Where a label is of the
    reading's kind a window tells of so many ``bands`` of like readings what came; 0: it is not. ``learns`` says to
    families of estimators what labels are (``specs.families``); "" where none of them fits. A class of which no label
    came among ``rare_after`` is rare, not late, and no window waits for it; None: windows wait for every class. By
    ``estimation`` metrics are estimated before labels come; None where no way is known, and ``not_estimated`` says why.
    What an estimator says below ``least`` counts as that; it is ``asked`` by the first of some names that it has.

    Promises, each with a test in ``loopline.platform_core.testing.target``:
      1. Importing the module of a kind imports no library, and the kind can be made without settings: it has the same
         metrics then.
      2. Settings are JSON, packages give them back as they were, and ``problems`` has nothing against them.
      3. ``trouble`` passes the labels of the kind and nulls, and names one that is none; ``encoded`` has a number for
         each, NaN where there is no label.
      4. Labels that pass ``shortage`` give the ``searched`` metric and those ``of_life`` a value; it refuses labels
         that nothing can be learnt from.
      5. ``predictions`` of an estimator, and ``served`` of what its packaged form gives, are raw: finite float64 of
         ``width`` numbers a row.
      6. An estimator of another kind is refused, with what to declare instead.
      7. ``reading`` is one finite number a row, and ``decided`` one value a row; both, and what ``served`` makes of a
         row, are the same whatever rows stand beside it.
      8. ``answer`` holds the outputs in their order, of their datatype and with as many values a row as they say.
      9. A right prediction is at each metric's best, and ``better`` points there; a better estimator has the better
         ``searched`` metric.
      10. Losses lie in 0..1, do not depend on later rows, and order two models as the metric does.
      11. Intervals hold the value, and lie within what a metric can be.
      12. ``apart`` passes what is alike, and says what a form that is off does.
      13. ``marked`` has each labelled row in exactly one class, and always as many classes.
      14. ``described`` are numbers for people, by names that a pinned training set has not; ``drawings`` of any rows
          come back from JSON as they were.
      15. ``baseline`` is one raw prediction, made of labels alone, that metrics can measure, or None; ``explained`` is
          the place of one of a row's numbers.
    """

    kind: ClassVar[str]
    searched: ClassVar[str]
    of_segments: ClassVar[tuple[str, ...]]
    of_life: ClassVar[tuple[str, ...]]
    decides: ClassVar[bool] = True
    bands: ClassVar[int] = 0
    rare_after: ClassVar[int | None] = None
    estimation: ClassVar[Estimation | None] = None
    not_estimated: ClassVar[str] = "what such a model returns does not tell how good it is"
    least: ClassVar[float | None] = None
    learns: ClassVar[Learns] = ""
    asked: ClassVar[tuple[str, ...]] = ("predict_proba", "predict")

    @property
    @abc.abstractmethod
    def metrics(self) -> Mapping[str, Metric]:
        """Return what is measured, by name."""

    @property
    @abc.abstractmethod
    def outputs(self) -> tuple[Output, ...]:
        """Return what an answer holds, in its order."""

    @abc.abstractmethod
    def trouble(self, labels: pa.ChunkedArray) -> str:
        """Say what labels are none of this kind, "" where all are; null is no label."""

    @abc.abstractmethod
    def shortage(self, labels: Floats) -> str:
        """Say what encoded labels lack to be learnt from or judged by, "" where they lack nothing."""

    @abc.abstractmethod
    def predictions(self, estimator: Any, x: Floats) -> Floats:
        """Return an estimator's raw predictions.

        Raises:
            InvalidSpec: it is an estimator of another kind.
        """

    @abc.abstractmethod
    def served(self, given: Floats) -> Floats:
        """Return the raw predictions of what a packaged form gives: (rows,) or (rows, numbers)."""

    @abc.abstractmethod
    def decided(self, raw: Floats) -> NDArray[Any]:
        """Return what is made of raw predictions, one value a row."""

    @abc.abstractmethod
    def answer(self, raw: Sequence[Any]) -> Mapping[str, list[Any]]:
        """Return the outputs of raw predictions by name, in their order, each with one entry a row.

        ``raw`` is a list, of lists where a row has several numbers; so is an output, where it has several values.
        """

    @abc.abstractmethod
    def described(self, labels: Floats) -> Mapping[str, float]:
        """Describe encoded labels for people, such as how many are positive."""

    def marked(self, labels: Floats) -> Sequence[NDArray[np.bool_]]:
        """Mark the rows of each class of encoded labels, of which some may come later than others; numbers are one."""
        return [there(labels)]

    @property
    def width(self) -> int:
        """Return how many numbers a row's raw prediction has."""
        return 1

    @property
    def placed(self) -> tuple[str | int, ...]:
        """Return the names that raw predictions and encoded labels know by their places: an order that stays."""
        return ()

    @property
    def label_width(self) -> int:
        """Return how many numbers a row's encoded label has."""
        return 1

    @property
    def ahead_days(self) -> float:
        """Return how many days ahead of its row a label looks: parts of a training set are kept so far apart."""
        return 0.0

    def problems(self) -> Iterable[tuple[str, str, str]]:
        """Yield which settings are wrong: the setting's name, the problem, the fix."""
        return ()

    def encoded(self, labels: pa.ChunkedArray) -> Floats:
        """Return labels as numbers to learn from, NaN where there is none: (rows,), or (rows, ``label_width``).

        Of a label of several numbers the first says whether there is a label; later ones may be missing.
        """
        import numpy as np

        return np.asarray(labels.cast("float64").to_numpy(), dtype=np.float64)

    def reading(self, raw: Floats) -> Floats:
        """Return the one number a row by which predictions are logged and their drift is watched.

        Where a row has one number it is that number: the log holds no other.
        """
        return raw

    def own(self, raw: Floats) -> Floats:
        """Return what is answered of raw predictions, without what the log holds beside it."""
        return raw

    def baseline(self, labels: Floats) -> Floats | None:
        """Return the raw prediction (``width`` numbers) of who knows nothing but the labels of training.

        It is what a model must be better than: the mean. None where the kind has no such constant.
        """
        import numpy as np

        return np.array([labels[np.isfinite(labels)].mean()]) if self.width == 1 and labels.ndim == 1 else None

    def explained(self, raw: Floats) -> NDArray[np.int64]:
        """Return which of its numbers an explanation of a row is about: the one on which its answer rests."""
        import numpy as np

        return np.zeros(len(raw), dtype=np.int64)

    def bounds(self) -> Mapping[str, float | None] | None:
        """Return how a script without Loopline makes each output of a row's only number.

        An output is the number itself (None), or 1 where it reaches a bound and 0 below. None: there is more to it.
        """
        return None

    def apart(self, own: Floats, served: Floats) -> tuple[float, str]:
        """Return by how much a served form differs from the estimator, and why that is too much ("": it is not)."""
        import numpy as np

        if own.shape != served.shape:
            return float("inf"), f"answers with shape {list(served.shape)} instead of {list(own.shape)}"
        difference = float(np.max(np.abs(served - own) / np.maximum(1.0, np.abs(own)), initial=0.0))
        if not difference < TOLERANCE:
            return difference, f"differs by {difference:.2g} on {len(own)} rows"
        if self.decides and np.any(self.decided(served) != self.decided(own)):
            return difference, f"decides otherwise on some of {len(own)} rows"
        return difference, ""

    def watched(self, raw: Floats) -> Mapping[str, pa.Array]:  # noqa: ARG002
        """Return what else of raw predictions is watched for drift, by name: a number, text or list of texts a row.

        Its name is ``answer.<name>`` where drift is told. Of a list, and of what looks like text, words are counted.
        """
        return {}

    def rows(self, labels: Floats, raw: Floats) -> Predictions:
        """Put encoded labels beside raw predictions."""
        return Predictions(labels, raw, self.decided(raw))

    def values(self, rows: Predictions, names: Iterable[str] | None = None) -> dict[str, float]:
        """Return metrics of labelled rows by name, all unless some are named; one that is not defined is left out."""
        wanted = self.metrics if names is None else names
        found = {name: self.metrics[name].value(rows) for name in wanted if name in self.metrics}
        return {name: value for name, value in found.items() if value is not None}

    @property
    def draws(self) -> bool:
        """Say whether the kind has drawings."""
        return type(self).drawings is not Target.drawings

    def drawings(self, rows: Predictions, about: Sequence[About]) -> Sequence[Drawing]:  # noqa: ARG002
        """Return what people of the trade look at: of labelled rows, the newest last, and which each of them is.

        Rows may be few, or all alike; what they do not tell is left out.
        """
        return ()

    def judged(self, rows: Predictions) -> dict[str, float]:
        """Return the metrics of labelled rows as gates judge them: what is missing lets nothing pass."""
        return self.values(rows)

    @classmethod
    def of_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Return the target with settings as packages hold them.

        Raises:
            ContractBroken: the kind has no such settings.
        """
        try:
            return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()})
        except TypeError as error:
            raise ContractBroken(
                f"target {cls.kind}: {error}", "package the model with the kind's own version"
            ) from error

    def to_json(self) -> dict[str, Any]:
        """Return the kind and its settings as packages hold them."""
        return {"kind": self.kind, **asdict(self)}
