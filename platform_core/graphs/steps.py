"""Steps of a graph: fitted estimators, ensemble means, and a team's own functions."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from loopline.platform_core.errors import ContractBroken, InvalidSpec
from loopline.platform_core.targets import Regression, Target

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from loopline.platform_core.metrics.metric import Floats

Served = Mapping[str, "Callable[[Floats], Floats]"]
"""What answers for each estimator of a graph, by the name of its step: raw predictions of a matrix."""


def unasked(matrix: Floats) -> Floats:
    """Stand in a package where an estimator's served form will.

    Raises:
        ContractBroken: always.
    """
    raise ContractBroken(f"{len(matrix)} rows are asked of a graph without its estimators", "load it by its manifest")


@dataclass(frozen=True, eq=False)
class Given:
    """What a step knows of some rows: the model's matrix (rows, columns), and what earlier steps said of them.

    ``places`` are the columns by name; ``vocabulary`` names the categories of those that hold codes; ``said`` holds
    float64 (rows,), or (rows, numbers), by the steps' names.
    """

    x: Floats
    places: Mapping[str, int]
    vocabulary: Mapping[str, Sequence[str]]
    said: Mapping[str, Floats] = field(default_factory=dict)

    def columns(self, names: Sequence[str]) -> Floats:
        """Return some columns (rows, names)."""
        return self.x[:, [self.places[name] for name in names]]

    def where(self, rows: NDArray[np.bool_]) -> Given:
        """Return what is known of the marked rows."""
        return replace(self, x=self.x[rows], said={name: one[rows] for name, one in self.said.items()})


@dataclass(frozen=True)
class Step(abc.ABC):
    """A step: what it is called, and what it says of rows.

    ``of`` are the earlier steps that it rests on. A step that holds estimators gives them by ``learners`` and takes
    what answers in their place by ``served``.
    """

    name: str

    @property
    def of(self) -> tuple[str, ...]:
        """Name the steps that it rests on."""
        return ()

    @property
    def columns_needed(self) -> tuple[str, ...]:
        """Name the columns that it reads; none for all of them, or for none."""
        return ()

    def learners(self) -> Sequence[Predict]:
        """Return what it holds that was fitted."""
        return ()

    def serving(self, served: Served) -> Self:  # noqa: ARG002 - most hold nothing that was fitted
        """Return the step with what answers in place of its estimators."""
        return self

    @abc.abstractmethod
    def run(self, given: Given) -> Floats:
        """Return float64 (rows,), or (rows, numbers)."""


@dataclass(frozen=True)
class Predict(Step):
    """A fitted estimator: it is asked for all rows at once, and stored in the fastest form that answers as it does.

    It sees ``columns``, all of them where none are named, and behind them the numbers of the steps ``after``.
    ``target`` says what kind of model it is, as ``Model(target=...)`` does.
    """

    estimator: Any = None
    target: Target = field(default_factory=Regression)
    columns: tuple[str, ...] | None = None
    after: tuple[str, ...] = ()
    answer: Callable[[Floats], Floats] | None = None

    @property
    def of(self) -> tuple[str, ...]:
        """Name the steps whose numbers it sees."""
        return self.after

    @property
    def columns_needed(self) -> tuple[str, ...]:
        """Name its columns."""
        return self.columns or ()

    def learners(self) -> Sequence[Predict]:
        """Return itself."""
        return (self,)

    def serving(self, served: Served) -> Self:
        """Answer by another function."""
        return replace(self, estimator=None, answer=served[self.name])

    def matrix(self, given: Given) -> Floats:
        """Put together what the estimator sees (rows, columns)."""
        import numpy as np

        own = given.x if self.columns is None else given.columns(self.columns)
        if not self.after:
            return own
        said = [given.said[name] for name in self.after]
        return np.column_stack([own, *said])

    def asked(self, matrix: Floats) -> Floats:
        """Return the raw predictions of a matrix that is put together."""
        return self.target.predictions(self.estimator, matrix) if self.answer is None else self.answer(matrix)

    def run(self, given: Given) -> Floats:
        """Predict."""
        return self.asked(self.matrix(given))


@dataclass(frozen=True)
class Apply(Step):
    """A function of the team's: what is known of rows (``Given``) in, float64 (rows,) or (rows, numbers) out.

    It stands at a module's top level, since a package names it; it makes each row's numbers from that row alone.
    """

    function: Callable[[Given], Floats] | None = None
    after: tuple[str, ...] = ()

    @property
    def of(self) -> tuple[str, ...]:
        """Name the steps that it looks at."""
        return self.after

    def run(self, given: Given) -> Floats:
        """Call it.

        Raises:
            ContractBroken: it returns another number of rows.
        """
        import numpy as np

        if self.function is None:
            raise InvalidSpec(f"step {self.name!r} has no function", "give one: Apply(name, function)")
        found = np.asarray(self.function(given), dtype=np.float64)
        if len(found) != len(given.x):
            raise ContractBroken(
                f"step {self.name!r} makes {len(found)} rows of {len(given.x)}", "return as many rows as it is given"
            )
        return found


@dataclass(frozen=True)
class Mean(Step):
    """An ensemble: the mean of what earlier steps said, weighed where ``weights`` are given."""

    steps: tuple[str, ...] = ()
    weights: tuple[float, ...] | None = None

    @property
    def of(self) -> tuple[str, ...]:
        """Name the steps whose mean it is."""
        return self.steps

    def run(self, given: Given) -> Floats:
        """Add them up in the order in which they are named.

        Raises:
            ContractBroken: the steps say different numbers of numbers.
        """
        said = [given.said[name] for name in self.steps]
        if len({one.shape for one in said}) > 1:
            shapes = ", ".join(f"{name} {list(one.shape[1:])}" for name, one in zip(self.steps, said, strict=True))
            raise ContractBroken(f"step {self.name!r}: no mean of {shapes}", "name steps that say equally many numbers")
        if self.weights is None:
            return sum(said[1:], said[0]) / len(said)
        weighed = [weight * one for weight, one in zip(self.weights, said, strict=True)]
        return sum(weighed[1:], weighed[0]) / sum(self.weights)
