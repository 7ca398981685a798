"""Settings of an experiment: as the ledger fixed them at its start, and as the model declares them now."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import InvalidSpec, NotFound
from loopline.platform_core.experiments.outcomes import Rule
from loopline.platform_core.specs.experiment import ERRORS, LATENCY, Experiment, Guardrail

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loopline.platform_core.specs import Labels, Model

PLAIN = ("name", "effect", "better", "per", "days", "wait_days", "percent", "alpha", "power", "most_days")


@dataclass(frozen=True)
class Settled:
    """An experiment with the number of entities that was planned for it; ``hold``: a person decides what follows."""

    experiment: Experiment
    planned: int
    hold: bool = False

    @property
    def share(self) -> float:
        """Return the share of entities that meet the candidate."""
        return self.experiment.percent / 100

    @property
    def rule(self) -> Rule:
        """Return how its outcome is measured."""
        one = self.experiment
        return Rule(one.outcome, one.days, one.wait_days, "mean" if isinstance(one.outcome, str) else one.per)

    def to_json(self) -> dict[str, Any]:
        """Return all of it; label functions by their names."""
        one = self.experiment
        rails = [[rail.name, rail.at_most, rail.better] for rail in one.guardrails]
        plain = {name: getattr(one, name) for name in PLAIN}
        return plain | {
            "outcome": one.outcome_name,
            "labels": not isinstance(one.outcome, str),
            "guardrails": rails,
            "planned": self.planned,
            "hold": self.hold,
        }

    @classmethod
    def from_json(cls, model: Model, told: Mapping[str, Any]) -> Settled:
        """Return what was settled, with the label functions that the model declares now.

        Raises:
            NotFound: it declares one of them no more.
        """
        known = _labels(model, told["name"])
        rails = tuple(Guardrail(_outcome(known, name, model), *rest) for name, *rest in told["guardrails"])
        outcome = _outcome(known, told["outcome"], model, labels=told["labels"])
        one = Experiment(outcome=outcome, guardrails=rails, **{name: told[name] for name in PLAIN})
        return cls(one, told["planned"], told["hold"])


def asked(model: Model, name: str, **changes: Any) -> Experiment:
    """Return the declared experiment of a name, or one by a metric's name alone, with what is asked for otherwise.

    Raises:
        NotFound: nothing is declared by that name, and no outcome given. InvalidSpec: a number is out of its range, or
            the outcome is none of the model's kind.
    """
    given = {key: value for key, value in changes.items() if value is not None}
    declared = next((one for one in model.experiments if one.name == name), None)
    if declared is None and not {"outcome", "effect"} <= given.keys():
        names = ", ".join(one.name for one in model.experiments) or "none"
        raise NotFound(
            f"model {model.name!r} declares no experiment {name!r} (it has {names})",
            "name one of them, or give --outcome with a metric of its kind and --effect",
        )
    one = replace(declared, **given) if declared else Experiment(name=name or given["outcome"], **given)
    for problem, fix in one.problems(model.target):
        raise InvalidSpec(problem, fix)
    return one


def _labels(model: Model, name: str) -> dict[str, Labels]:
    found = [one for one in model.experiments if one.name == name]
    outcomes = [outcome for one in found for outcome in (one.outcome, *(rail.outcome for rail in one.guardrails))]
    return {outcome.name: outcome for outcome in outcomes if not isinstance(outcome, str)}


def _outcome(known: Mapping[str, Labels], name: str, model: Model, *, labels: bool | None = None) -> str | Labels:
    if name in known and labels is not False:
        return known[name]
    if labels or name not in {*model.target.metrics, ERRORS, LATENCY}:
        raise NotFound(
            f"model {model.name!r} declares outcome {name!r} no more, and an experiment goes by it",
            "declare it again, or stop the experiment",
        )
    return name
