"""Target of a model graph: it answers as another kind of model, and the log holds what each step said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

from loopline.platform_core.errors import ContractBroken, InvalidSpec
from loopline.platform_core.targets.binary import Binary
from loopline.platform_core.targets.fitted_as import made_by
from loopline.platform_core.targets.target import Output, Target

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from loopline.platform_core.estimation import Estimation
    from loopline.platform_core.metrics.metric import Flags, Floats, Metric, Predictions
    from loopline.platform_core.targets.drawing import About, Drawing


@dataclass(frozen=True)
class Graph(Target):
    """A graph of steps (``loopline.graphs``) that answers as a model of the kind ``of``.

    ``steps`` are those before the last, with how many numbers each says of a row. A row's raw prediction is what the
    last step said, then what they said in their order: so one record of the log holds all of it.
    """

    kind: ClassVar[str] = "graph"
    searched: ClassVar[str] = Binary.searched
    of_segments: ClassVar[tuple[str, ...]] = Binary.of_segments
    of_life: ClassVar[tuple[str, ...]] = Binary.of_life
    estimation: ClassVar[Estimation | None] = Binary.estimation

    of: Target = field(default_factory=Binary)
    steps: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Take the kind that answers as JSON as well.

        Raises:
            NotFound, ContractBroken: as ``targets.from_json``.
        """
        from loopline.platform_core.targets import from_json

        if not isinstance(self.of, Target):
            object.__setattr__(self, "of", from_json({"kind": self.of.get("type", ""), **self.of}))
        object.__setattr__(self, "steps", dict(self.steps))
        for name in _OF_THE_LAST:
            object.__setattr__(self, name, getattr(self.of, name))

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Return those of what is answered."""
        return self.of.metrics

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Return the last step's."""
        return self.of.outputs

    @property
    def width(self) -> int:
        """Return how many numbers the last step and those before it say."""
        return self.of.width + sum(self.steps.values())

    @property
    def label_width(self) -> int:
        """Return that of what is answered."""
        return self.of.label_width

    @property
    def placed(self) -> tuple[str | int, ...]:
        """Return those of what is answered."""
        return self.of.placed

    def problems(self) -> Iterable[tuple[str, str, str]]:
        """Refuse steps that say nothing, a graph in a graph, and wrong settings of what is answered."""
        for name, count in self.steps.items():
            if isinstance(count, bool) or not isinstance(count, int) or count < 1:
                yield "steps", f"{name} says {count!r} numbers of a row", "write a whole number from 1 on"
        if isinstance(self.of, Graph):
            yield "of", "a graph answers as a graph", "put all steps into one, and name the kind that answers"
        for setting, problem, fix in self.of.problems():
            yield f"of.{setting}", problem, fix

    def trouble(self, labels: pa.ChunkedArray) -> str:
        """Ask the kind that answers."""
        return self.of.trouble(labels)

    def shortage(self, labels: Floats) -> str:
        """Ask the kind that answers."""
        return self.of.shortage(labels)

    def encoded(self, labels: pa.ChunkedArray) -> Floats:
        """Ask the kind that answers."""
        return self.of.encoded(labels)

    def marked(self, labels: Floats) -> Sequence[Flags]:
        """Ask the kind that answers."""
        return self.of.marked(labels)

    def described(self, labels: Floats) -> Mapping[str, float]:
        """Ask the kind that answers."""
        return self.of.described(labels)

    def own(self, raw: Floats) -> Floats:
        """Return what the last step said, as the kind that answers has it; what is that already stays."""
        width = self.of.width
        if raw.ndim == 1 or not self.steps:
            return raw
        return raw if raw.shape[1] == width > 1 else raw[:, 0] if width == 1 else raw[:, :width]

    def predictions(self, estimator: Any, x: Floats) -> Floats:
        """Return what the last step said, and the others in their order.

        Raises:
            InvalidSpec: it is no graph, or its steps are not those that are declared.
        """
        if not callable(getattr(estimator, "run", None)):
            raise InvalidSpec(
                f"'fit' returned a {made_by(estimator)}, which is no graph",
                f"return loopline.graphs.Graph.of(train, ...), or declare Model(target={type(self.of).__name__}(...))",
            )
        return self._joined(estimator.run(x))

    def _joined(self, said: Mapping[str, Floats]) -> Floats:
        """Put what steps said beside each other, the last first."""
        import numpy as np

        *before, last = said
        found = {name: 1 if said[name].ndim == 1 else said[name].shape[1] for name in before}
        if [*found.items()] != [*self.steps.items()]:
            told = ", ".join(f"{name!r}: {count}" for name, count in found.items())
            raise InvalidSpec(
                f"'fit' returned a graph with the steps {{{told}}} before the last, declared are {dict(self.steps)}",
                f"write Model(target=Graph(of=..., steps={{{told}}}))",
            )
        answered = self.of.served(said[last])
        if not before:
            return answered
        joined, start = np.empty((len(answered), self.width)), 0
        for one in (answered, *map(said.__getitem__, before)):
            end = start + (1 if one.ndim == 1 else one.shape[1])
            joined[:, start:end] = one[:, None] if one.ndim == 1 else one
            start = end
        return joined

    def served(self, given: Floats) -> Floats:
        """Return what the kind that answers makes of the last step's numbers, and the others as they are."""
        import numpy as np

        others = sum(self.steps.values())
        if not others:
            return self.of.served(given)
        last, rest = given[:, :-others], given[:, -others:]
        return np.column_stack([self.of.served(last[:, 0] if last.shape[1] == 1 else last), rest])

    def decided(self, raw: Floats) -> NDArray[Any]:
        """Return what the kind that answers makes of it."""
        return self.of.decided(self.own(raw))

    def reading(self, raw: Floats) -> Floats:
        """Return that of what is answered."""
        return self.of.reading(self.own(raw))

    def answer(self, raw: Sequence[Any]) -> Mapping[str, list[Any]]:
        """Return what the kind that answers makes of the last step's numbers."""
        width = self.of.width
        if not self.steps:
            return self.of.answer(raw)
        return self.of.answer([row[0] for row in raw] if width == 1 else [row[:width] for row in raw])

    def rows(self, labels: Floats, raw: Floats) -> Predictions:
        """Put labels beside what was answered: no metric sees the other steps."""
        return self.of.rows(labels, self.own(raw))

    def judged(self, rows: Predictions) -> dict[str, float]:
        """Ask the kind that answers."""
        return self.of.judged(rows)

    def baseline(self, labels: Floats) -> Floats | None:
        """Ask the kind that answers; the steps before it say nothing, 0."""
        import numpy as np

        found = self.of.baseline(labels)
        return None if found is None else np.concatenate([found, np.zeros(self.width - len(found))])

    def explained(self, raw: Floats) -> NDArray[Any]:
        """Ask the kind that answers."""
        return self.of.explained(self.own(raw))

    def drawings(self, rows: Predictions, about: Sequence[About]) -> Sequence[Drawing]:
        """Ask the kind that answers."""
        return self.of.drawings(rows, about)

    def apart(self, own: Floats, served: Floats) -> tuple[float, str]:
        """Compare what is answered as its kind does: each step was held to its own estimator, as its own kind does."""
        if own.shape != served.shape:
            return self.of.apart(own, served)
        return self.of.apart(self.own(own), self.own(served))

    @classmethod
    def of_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Return the target with settings as packages hold them.

        Raises:
            NotFound: the kind that answers is not installed. ContractBroken: there are no such settings.
        """
        try:
            return cls(**settings)
        except (TypeError, AttributeError, ValueError) as error:
            raise ContractBroken(f"target {cls.kind}: {error}", "package the model anew") from error

    def to_json(self) -> dict[str, Any]:
        """Return the settings as packages hold them."""
        return {"kind": self.kind, "of": self.of.to_json(), "steps": dict(self.steps)}


_OF_THE_LAST = ("searched", "of_segments", "of_life", "decides", "bands", "estimation", "not_estimated", "least")
"""What is the kind's that answers."""
