"""Experiment specs in YAML: an outcome is a metric's name, or the import path of labels.

experiments:
- {name: sales, outcome: "shop.labels:kept", effect: 3.0, per: sum, days: 2, wait_days: 1}
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.specs.experiment import Experiment, Guardrail
from loopline.platform_core.specs.import_path import imported
from loopline.platform_core.specs.labels import Labels
from loopline.platform_core.specs.yaml_files.strict import Strict

if TYPE_CHECKING:
    from loopline.platform_core.foundation.located_yaml import Place
    from loopline.platform_core.targets import Target


class GuardrailFile(Strict):
    """``specs.Guardrail`` in YAML."""

    outcome: str
    at_most: float
    better: Literal["higher", "lower"] = Guardrail.better

    def to_guardrail(self) -> Guardrail:
        """Import the outcome, where it is a path."""
        return Guardrail(**{**self.fields(), "outcome": _outcome(self.outcome)})


class ExperimentFile(Strict):
    """``specs.Experiment`` in YAML."""

    name: str
    outcome: str
    effect: float
    better: Literal["higher", "lower"] = Experiment.better
    per: Literal["mean", "sum"] = Experiment.per
    days: float = Experiment.days
    wait_days: float = Experiment.wait_days
    percent: int = Experiment.percent
    guardrails: tuple[GuardrailFile, ...] = Field(())
    alpha: float = Experiment.alpha
    power: float = Experiment.power
    most_days: float = Experiment.most_days

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        """Let the experiment itself refuse numbers out of their range, whatever its outcomes are."""
        plain = tuple(Guardrail(**one.fields()) for one in self.guardrails)
        Experiment(**{**self.fields(), "guardrails": plain})
        return self

    def to_experiment(self) -> Experiment:
        """Import outcomes that are paths.

        Raises:
            InvalidSpec: a path names no labels.
        """
        rails = tuple(one.to_guardrail() for one in self.guardrails)
        return Experiment(**{**self.fields(), "outcome": _outcome(self.outcome), "guardrails": rails})

    def broken(self, target: Target) -> Iterator[tuple[Place, InvalidSpec]]:
        """Yield where a path names no labels, or an outcome is none of the target's, and why."""
        named = [(("outcome",), self.outcome), *_guarded(self.guardrails)]
        wrong: list[tuple[Place, InvalidSpec]] = []
        for place, outcome in named:
            try:
                _outcome(outcome)
            except InvalidSpec as error:
                wrong.append((place, error))
        yield from wrong
        if not wrong:
            yield from (((), InvalidSpec(problem, fix)) for problem, fix in self.to_experiment().problems(target))


def _guarded(guardrails: tuple[GuardrailFile, ...]) -> Iterator[tuple[Place, str]]:
    for number, one in enumerate(guardrails):
        yield ("guardrails", number, "outcome"), one.outcome


def _outcome(text: str) -> str | Labels:
    """Return a metric's name as it is, and the labels that a path names."""
    if ":" not in text:
        return text
    found: Labels = imported(text, Labels)
    return found
