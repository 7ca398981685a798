"""Spec of a hyperparameter search: trials over a parameter space, or over several estimators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loopline.platform_core import targets
from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.specs.families import FAMILIES, Family
from loopline.platform_core.specs.space import Dimension

if TYPE_CHECKING:
    from loopline.platform_core.metrics import Metric
    from loopline.platform_core.specs.examples import Fit

FAMILY = "family"
"""The parameter that says which of the search's estimators a trial is of."""


@dataclass(frozen=True)
class Search:
    """How many trials over which space, for the best ``metric`` on the validation rows ("": the target's own).

    With ``parallel`` each trial is a task of its own with the model's requirements, so many at a time; without it all
    of them are done by the training itself, one for each of its cores at a time.

    ``estimators`` are families (``"trees"``, ``"linear"``, ``"neighbours"``, ``"network"``) or functions like ``fit``,
    and take its place. Each is tried once with its usual parameters, then trials go where they were best. ``space``
    may then say of a parameter what it may be in place of what the family says: ``{"trees.num_leaves": ...}``.

    No trial begins once ``seconds`` have been spent on trials, or ``cost``, in the price sheet's currency, on the
    machines that are asked for. The best ``ensemble`` trials (0: none) are averaged where that is better on the
    validation rows. With ``warm_start`` the champion's parameters are tried first.

    Raises:
        InvalidSpec: there is no such metric or family, or a number is none.
    """

    trials: int
    space: Mapping[str, Dimension] = field(default_factory=dict)
    metric: str = ""
    parallel: int = 0
    estimators: tuple[str | Fit, ...] = ()
    seconds: float | None = None
    cost: float | None = None
    ensemble: int = 0
    warm_start: bool = False

    def __post_init__(self) -> None:
        """Refuse a metric by which nothing can be searched, a number that is none, and what is of no estimator."""
        if self.metric:
            searched(self.metric)
        if self.parallel < 0:
            raise InvalidSpec(f"a search runs {self.parallel} trials at a time", "say how many, or leave it out")
        for name in ("seconds", "cost"):
            given = getattr(self, name)
            if given is not None and not given > 0:
                raise InvalidSpec(f"a search may take {name}={given:g}", "write a number above 0, or leave it out")
        if self.ensemble < 0 or self.ensemble == 1:
            raise InvalidSpec(f"an ensemble of {self.ensemble} is none", "let it be 2 or more, or 0")
        if self.estimators:
            self._check_estimators()

    @property
    def families(self) -> Mapping[str, Family | Fit]:
        """Return what fits, by name: that of a function is its own."""
        return {one if isinstance(one, str) else _name(one): _family(one) for one in self.estimators}

    def dimensions(self, name: str) -> Mapping[str, Dimension]:
        """Return the space of one of the estimators, named as in ``params``."""
        family = self.families[name]
        ours = family.space if isinstance(family, Family) else {}
        prefix = f"{name}."
        return {prefix + key: one for key, one in ours.items()} | {
            key: one for key, one in self.space.items() if key.startswith(prefix)
        }

    def begins(self) -> list[dict[str, str | float | int | bool]]:
        """Return the parameters that are tried first: of each estimator the usual ones that the space allows."""
        found: list[dict[str, str | float | int | bool]] = []
        for name, family in self.families.items():
            space = self.dimensions(name)
            usual = family.usual if isinstance(family, Family) else {}
            named = {f"{name}.{key}": value for key, value in usual.items()}
            found.append({FAMILY: name, **{key: value for key, value in named.items() if space[key].holds(value)}})
        return found

    def allowed(self, params: Mapping[str, str | float | int | bool]) -> dict[str, str | float | int | bool]:
        """Return those of some parameters, such as a champion's, that this search could try itself."""
        if not self.estimators:
            return {key: value for key, value in params.items() if key in self.space and self.space[key].holds(value)}
        name = str(params.get(FAMILY, ""))
        if name not in self.families:
            return {}
        space = self.dimensions(name)
        return {FAMILY: name} | {
            key: value for key, value in params.items() if key in space and space[key].holds(value)
        }

    def _check_estimators(self) -> None:
        names = list(self.families)
        if len(names) < len(self.estimators):
            raise InvalidSpec(f"estimators {', '.join(names)} are named twice", "name each once")
        if self.trials < len(names):
            raise InvalidSpec(
                f"{self.trials} trials leave some of {len(names)} estimators untried", "allow more trials"
            )
        for key in self.space:
            name, _, parameter = key.partition(".")
            family = self.families.get(name)
            if family is None or (isinstance(family, Family) and parameter not in family.space):
                known = [f"{n}.{p}" for n, f in self.families.items() if isinstance(f, Family) for p in f.space]
                raise targets.unknown(key, known or [f"{names[0]}.<parameter>"], "parameter of the search's estimators")


def _family(one: str | Fit) -> Family | Fit:
    if not isinstance(one, str):
        return one
    if one not in FAMILIES:
        raise targets.unknown(one, FAMILIES, "family of estimators")
    return FAMILIES[one]


def _name(function: Fit) -> str:
    return str(getattr(function, "__name__", type(function).__name__)).replace(".", "_")


def searched(name: str) -> Metric:
    """Return the metric that a search is for.

    Raises:
        InvalidSpec: no metric of this name says what is better whatever is decided.
    """
    known = targets.metrics(lambda one: one.is_searched)
    if name not in known:
        raise targets.unknown(name, known, "search metric")
    return known[name]
