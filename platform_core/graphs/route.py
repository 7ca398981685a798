"""Router step of a graph: sends each row to the step of its segment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.graphs.steps import Given, Predict, Served, Step

if TYPE_CHECKING:
    from loopline.platform_core.metrics.metric import Flags, Floats


@dataclass(frozen=True)
class Route(Step):
    """Sends each row to the step of its value in the text column ``by``, and rows of any other value to ``otherwise``.

    Each step is asked once, for all of its rows.
    """

    by: str = ""
    steps: Mapping[str, Predict] = field(default_factory=dict)
    otherwise: Predict | None = None

    @property
    def of(self) -> tuple[str, ...]:
        """Name the steps that those it sends rows to rest on."""
        return tuple(dict.fromkeys(name for one in self.learners() for name in one.of))

    @property
    def columns_needed(self) -> tuple[str, ...]:
        """Name the column that decides, and those of the steps."""
        return tuple(dict.fromkeys([self.by, *(name for one in self.learners() for name in one.columns_needed)]))

    def learners(self) -> Sequence[Predict]:
        """Return the steps that rows are sent to."""
        return [*self.steps.values(), *([self.otherwise] if self.otherwise else [])]

    def serving(self, served: Served) -> Self:
        """Let others answer in their place."""
        steps = {value: one.serving(served) for value, one in self.steps.items()}
        return replace(self, steps=steps, otherwise=self.otherwise.serving(served) if self.otherwise else None)

    def run(self, given: Given) -> Floats:
        """Ask each step for its rows.

        Raises:
            ContractBroken: rows have a value for which there is no step, or the steps say different numbers of numbers.
        """
        import numpy as np

        codes = given.x[:, given.places[self.by]]
        names = list(given.vocabulary.get(self.by, ()))
        found: Floats | None = None
        left = np.ones(len(codes), dtype=np.bool_)
        for value, step in self.steps.items():
            own = codes == (names.index(value) if value in names else np.nan)
            left &= ~own
            found = self._filled(found, own, step, given)
        if self.otherwise is not None:
            found = self._filled(found, left, self.otherwise, given)
        elif left.any():
            raise ContractBroken(
                f"step {self.name!r}: {int(left.sum())} rows have another {self.by} than {', '.join(self.steps)}",
                "say what answers them: Route(otherwise=...)",
            )
        return np.zeros(len(codes)) if found is None else found

    def _filled(self, found: Floats | None, own: Flags, step: Predict, given: Given) -> Floats | None:
        import numpy as np

        if not own.any():
            return found
        said = step.run(given.where(own))
        if found is None:
            found = np.zeros((len(own), *said.shape[1:]))
        if found.shape[1:] != said.shape[1:]:
            raise ContractBroken(
                f"step {self.name!r}: {step.name} says {list(said.shape[1:])} numbers a row, "
                f"others {list(found.shape[1:])}",
                "send rows to steps that say equally many",
            )
        found[own] = said
        return found
