"""Kinds of models (targets), found by entry points of group ``loopline.targets``.

Importing this imports no library: numbers are computed by what is called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from difflib import get_close_matches
from functools import lru_cache
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import ContractBroken, InvalidSpec, NotFound, one_line
from loopline.platform_core.foundation.distributions import entry_points
from loopline.platform_core.targets.binary import Binary
from loopline.platform_core.targets.count import Count
from loopline.platform_core.targets.forecast import Forecast
from loopline.platform_core.targets.graph import Graph
from loopline.platform_core.targets.multiclass import Multiclass
from loopline.platform_core.targets.multilabel import Multilabel
from loopline.platform_core.targets.ranking import Ranking
from loopline.platform_core.targets.regression import Regression
from loopline.platform_core.targets.target import Output, Target

if TYPE_CHECKING:
    from loopline.platform_core.metrics.metric import Metric

__all__ = [
    "GROUP",
    "ROWS",
    "Binary",
    "Count",
    "Forecast",
    "Graph",
    "Multiclass",
    "Multilabel",
    "Output",
    "Ranking",
    "Regression",
    "Target",
    "from_json",
    "installed",
    "kind",
    "known",
    "metric",
    "metrics",
    "unknown",
    "usual",
]

GROUP = "loopline.targets"
"""Entry point group: ``<kind> = "package.module:Class"``."""
ROWS = "rows"
"""Beside the metrics training tells how many rows they are of, and a gate may ask for so many."""
_OURS: tuple[type[Target], ...] = (Binary, Multiclass, Multilabel, Regression, Count, Forecast, Ranking, Graph)


def kind(name: str) -> type[Target]:
    """Return a kind of models.

    Raises:
        NotFound: none of this name is installed. ContractBroken: it is, and cannot be imported.
    """
    ours = {one.kind: one for one in _OURS}
    if name in ours:
        return ours[name]
    if name not in _points():
        there = ", ".join([*ours, *_points()])
        raise NotFound(f"no kind of models {name!r} is installed: {there} are", "install the package that it comes in")
    return _loaded(name)


def from_json(said: Mapping[str, Any]) -> Target:
    """Return a target as a package says it.

    Raises:
        NotFound: its kind is not installed. ContractBroken: the kind has no such settings.
    """
    settings = {name: value for name, value in said.items() if name != "kind"}
    return kind(str(said.get("kind", ""))).of_settings(settings)


def known() -> Iterator[type[Target]]:
    """Yield every kind that is installed, ours first; one that cannot be imported is told by whoever names it."""
    yield from _OURS
    for name in _points():
        with suppress(ContractBroken):
            yield _loaded(name)


def metric(name: str) -> Metric:
    """Return the metric of a name as the first kind has it that has one: what a gate may name wherever it stands.

    Raises:
        InvalidSpec: no kind has it.
    """
    names: list[str] = []
    for one in known():
        metrics = one().metrics
        if name in metrics:
            return metrics[name]
        names += metrics
    raise unknown(name, dict.fromkeys(names))


def metrics(chosen: Callable[[Metric], bool]) -> dict[str, Metric]:
    """Return the chosen ones among the metrics of every kind, by name; of one that several have the first kind's."""
    found: dict[str, Metric] = {}
    for one in known():
        for name, each in one().metrics.items():
            if chosen(each):
                found.setdefault(name, each)
    return found


def usual(threshold: float | None = None) -> Target:
    """Return the kind of a model that names none; a threshold is its only setting, for models of before as well."""
    return Binary() if threshold is None else Binary(threshold)


def installed() -> list[str]:
    """Name every kind that a distribution brings, whether it can be imported or not."""
    return [*(one.kind for one in _OURS), *_points()]


def unknown(name: str, known: Iterable[str], kind: str = "metric") -> InvalidSpec:
    """Say that there is no metric of a kind and name, and which was meant."""
    names = list(known)
    near = get_close_matches(name.lower(), names, n=1)
    return InvalidSpec(f"no {kind} {name!r}", f"write {near[0]!r}" if near else f"use one of {', '.join(names)}")


@lru_cache
def _points() -> Mapping[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


@lru_cache
def _loaded(name: str) -> type[Target]:
    try:
        found = _points()[name].load()
    except Exception as error:  # a package from outside may raise anything while it is imported
        raise ContractBroken(
            f"the kind of models {name!r} ({_points()[name].value}) cannot be imported: {one_line(error)}",
            "mend the package that it comes in, or uninstall it",
        ) from error
    if not (isinstance(found, type) and issubclass(found, Target) and found.kind == name):
        raise ContractBroken(
            f"the entry point {name!r} of {GROUP} ({_points()[name].value}) names no subclass of Target of this kind",
            f"name a class whose 'kind' is {name!r}",
        )
    return found
