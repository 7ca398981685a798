"""Validation of a model's metric names against its kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from loopline.platform_core.targets import known, unknown

if TYPE_CHECKING:
    from loopline.platform_core.errors import InvalidSpec
    from loopline.platform_core.specs.model import Model
    from loopline.platform_core.specs.yaml_files.model_file import ModelFile

    Place = tuple[str | int, ...]


def foreign(declared: Model | ModelFile) -> Iterator[tuple[Place, InvalidSpec]]:
    """Yield where a metric is named that another kind of model has and this one has not, and which was meant.

    A name that no kind has is left to whoever knows it: a gate of a team's own may bring its metric along.
    """
    target = declared.target
    own, others = target.metrics, {name for kind in known() for name in kind().metrics}
    for place, name in _named(declared):
        if name not in own and name in others:
            yield place, unknown(name, own, f"metric of a {target.kind} model")
    if (searched := declared.search.metric) in own and not own[searched].is_searched:
        able = [name for name, one in own.items() if one.is_searched]
        yield ("search", "metric"), unknown(searched, able, f"search metric of a {target.kind} model")


def _named(declared: Any) -> Iterator[tuple[Place, str]]:
    """Yield each name with its place; of a judge it is one only where labels or estimates are asked for."""
    yield ("search", "metric"), declared.search.metric
    for place, gate in enumerate(declared.gates):
        yield ("gates", place), gate.metric
    for place, judge in enumerate(declared.rollout.judges):
        if (judge.needs_labels or judge.needs_estimates) and isinstance(getattr(judge, "metric", None), str):
            yield ("rollout", "judges", place), judge.metric
    for place, name in enumerate(declared.quality.metrics):
        yield ("quality", "metrics", place), name
    for place, rule in enumerate(declared.fairness):
        yield ("fairness", place), rule.metric
