"""Dispatch of serving calls to the namespace of the model's team."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

if TYPE_CHECKING:
    from loopline.resources.kubernetes.pod_serving import PodServing

TEAM = "{team}"
P = ParamSpec("P")
R = TypeVar("R")


def of_its_team(method: Callable[P, R]) -> Callable[P, R]:
    """Let a method, whose first argument is a model or a state of one, act in the namespace of the model's team."""

    @wraps(method)
    def placed(*args: P.args, **kwargs: P.kwargs) -> R:
        serving, about, *others = cast("tuple[PodServing, Any, *tuple[Any, ...]]", args)
        of_team = serving.of_team(about if isinstance(about, str) else about.model)
        return cast("Callable[..., R]", method)(of_team, about, *others, **kwargs)

    return placed
