"""Model graph: steps that answer one after the other; ``fit`` returns it for a model whose target is ``Graph``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.graphs.candidates import Rank
from loopline.platform_core.graphs.steps import Given, Predict, Served, Step

if TYPE_CHECKING:
    from loopline.platform_core.metrics.metric import Floats
    from loopline.platform_core.specs.examples import Examples


@dataclass(frozen=True)
class Graph:
    """Steps in their order; the last one answers. One package, one version: what is in it changes together."""

    steps: tuple[Step, ...]
    features: tuple[str, ...]
    vocabulary: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, train: Examples, *steps: Step) -> Self:
        """Put steps together for the columns of what was learnt from.

        Raises:
            InvalidSpec: a step has no name of its own, rests on none before it, or reads what is no column.
        """
        found = cls(steps, tuple(train.features), {name: tuple(texts) for name, texts in train.vocabulary.items()})
        for problem, fix in found._problems():
            raise InvalidSpec(f"graph: {problem}", fix)
        return found

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Return the matrix's columns by name."""
        return {name: place for place, name in enumerate(self.features)}

    def learners(self) -> Sequence[Predict]:
        """Return every estimator's step."""
        return [one for step in self.steps for one in step.learners()]

    def serving(self, served: Served) -> Self:
        """Return the graph with what answers in place of its estimators."""
        return replace(self, steps=tuple(step.serving(served) for step in self.steps))

    def run(self, x: Floats) -> dict[str, Floats]:
        """Ask the steps for the rows of a matrix; what each said, by name."""
        said: dict[str, Floats] = {}
        given = Given(x, self.places, self.vocabulary, said)
        for step in self.steps:
            said[step.name] = step.run(given)
        return said

    def _problems(self) -> Sequence[tuple[str, str]]:
        """Say what is wrong with the steps."""
        if not self.steps:
            return [("it has no step", "give what predicts: Graph.of(train, Predict(...))")]
        found, before = [], set[str]()
        for step in self.steps:
            found += _of_step(step, before, self.features)
            before.add(step.name)
        names = [one.name for one in self.learners()]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            found.append((f"two estimators are called {', '.join(twice)}", "give each a name of its own"))
        if odd := [name for name in [*names, *before] if not _is_name(name)]:
            found.append((f"{odd[0]!r} names a file of the package", "use letters, digits, - and _"))
        return found


def _of_step(step: Step, before: set[str], features: Sequence[str]) -> list[tuple[str, str]]:
    found = []
    if step.name in before:
        found.append((f"two steps are called {step.name}", "give each a name of its own"))
    if missing := [name for name in step.of if name not in before]:
        found.append((f"step {step.name} rests on {missing[0]}, which is none before it", "put it before"))
    if odd := [name for name in step.columns_needed if name not in features]:
        found.append((f"step {step.name} reads {odd[0]!r}", f"use columns of {', '.join(features)}"))
    if isinstance(step, Rank) and step.scorer is None:
        found.append((f"step {step.name} has no scorer", "give one: scorer=Predict(...)"))
    return found


def _is_name(name: str) -> bool:
    return name.isascii() and name.replace("-", "").replace("_", "").isalnum()
