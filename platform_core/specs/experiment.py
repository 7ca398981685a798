"""Spec of an experiment (A/B test): outcome, effect, guardrails and split of two versions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from loopline.platform_core.errors import InvalidSpec

if TYPE_CHECKING:
    from loopline.platform_core.specs.labels import Labels
    from loopline.platform_core.targets import Target

ERRORS, LATENCY = "error_rate", "latency_ms"
"""Guardrails that need no label: the share of an entity's requests that failed, and its mean latency."""
MOST_PERCENT = 99


@dataclass(frozen=True)
class Guardrail:
    """What must not become worse by more than ``at_most``, in its unit; proof of it stops the experiment.

    ``outcome`` is ``error_rate``, ``latency_ms``, a metric of the model's kind of which single rows say something, or
    an outcome of your own. A label function's numbers are better ``higher`` or ``lower``.
    """

    outcome: str | Labels
    at_most: float
    better: Literal["higher", "lower"] = "higher"

    @property
    def name(self) -> str:
        """Return the outcome's name."""
        return self.outcome if isinstance(self.outcome, str) else self.outcome.name


@dataclass(frozen=True)
class Experiment:
    """Half of the entities, or ``percent`` of them, meet the candidate until it is known which version does better.

    ``outcome`` is a metric of the model's kind of which single rows say something, such as ``log_loss``; or labels of
    its own, whose numbers are ``better`` higher or lower: what became of the business. Its rows must have the entity by
    which requests are split, the first of the model's. Each entity counts once, by the ``per`` (mean or sum) of what
    it had in the ``days`` after it first met its version, and what was known of that ``wait_days`` later; one of which
    nothing is known has a sum of 0, and no mean.

    ``effect`` is the smallest difference, in the outcome's unit, that is worth the change: with chance ``power`` it is
    found, and two versions within it of each other count as alike. In ``alpha`` of all experiments with two versions
    that are alike one of them is said to be better, however often anybody looks. After ``most_days`` it ends anyway.

    Raises:
        InvalidSpec: a number is out of its range.
    """

    name: str
    outcome: str | Labels
    effect: float
    better: Literal["higher", "lower"] = "higher"
    per: Literal["mean", "sum"] = "mean"
    days: float = 7
    wait_days: float = 0
    percent: int = 50
    guardrails: tuple[Guardrail, ...] = ()
    alpha: float = 0.05
    power: float = 0.8
    most_days: float = 90

    def __post_init__(self) -> None:
        """Refuse what no experiment can be."""
        for wrong, problem, fix in self._wrong():
            if wrong:
                raise InvalidSpec(f"experiment {self.name!r}: {problem}", fix)

    @property
    def outcome_name(self) -> str:
        """Return the outcome's name."""
        return self.outcome if isinstance(self.outcome, str) else self.outcome.name

    def problems(self, target: Target) -> Iterator[tuple[str, str]]:
        """Yield which outcomes a model of a target does not have: the problem, the fix."""
        able = [name for name, metric in target.metrics.items() if metric.is_compared]
        ready = {ERRORS, LATENCY}
        for outcome, known in [(self.outcome, set(able)), *((g.outcome, {*able, *ready}) for g in self.guardrails)]:
            if isinstance(outcome, str) and outcome not in known:
                fix = f"name one of {', '.join(sorted(known))}, or give labels"
                yield f"experiment {self.name!r}: {outcome!r} is no outcome of a {target.kind} model's rows", fix

    def _wrong(self) -> Iterator[tuple[bool, str, str]]:
        shares = self.alpha, self.power
        yield not self.name, "it has no name", "name it"
        yield not self.effect > 0, f"effect {self.effect:g} is none", "say which difference is worth the change"
        yield not 1 <= self.percent <= MOST_PERCENT, f"percent {self.percent} leaves one side empty", "write 1 to 99"
        yield not all(0 < share < 1 for share in shares), "alpha and power lie between 0 and 1", "such as 0.05 and 0.8"
        yield not (self.days > 0 and self.wait_days >= 0), "days is no time", "write how long an entity is watched"
        yield not self.most_days > self.days + self.wait_days, "it ends before anything is known", "give it more days"
        yield any(not g.at_most >= 0 for g in self.guardrails), "a guardrail's at_most is below 0", "write 0 or more"
