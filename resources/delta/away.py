"""An object store that does not answer: nobody waits for it long, and its failure is told as one of ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

from loopline.platform_core.errors import StoreUnavailable, one_line

if TYPE_CHECKING:
    from loopline.resources.delta.lake import DeltaLake

_BOUNDS = {"timeout": "20s", "retry_timeout": "20s"}
"""How long one request may take, and after how long none is tried again. delta-rs itself goes on for three minutes;
Dagster ends a sensor's look after one, and nobody would hear why."""
_REPORT = re.compile(r"\x1b\[\d*m|[^\x1b\x20-\x7e]+")
"""Colours, arrows and line ends of what delta-rs prints for people."""
P = ParamSpec("P")
R = TypeVar("R")


def bounded(root: str, options: Mapping[str, str]) -> dict[str, str]:
    """Return options of an object store with bounds on its answers, where they name none themselves."""
    named = {name.lower() for name in options}
    more = {name: bound for name, bound in _BOUNDS.items() if "://" in root and name not in named}
    return {**more, **options}


def translating(method: Callable[P, R]) -> Callable[P, R]:
    """Let a lake's method tell of an object store's failure by the lake's URL; a local folder's stays as it is.

    Raises:
        StoreUnavailable: the store did not answer in time, or failed.
    """

    @wraps(method)
    def translated(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except OSError as error:
            root = cast("DeltaLake", args[0]).root
            if "://" not in root or isinstance(error, FileNotFoundError):
                raise
            raise StoreUnavailable(
                f"the lake at {root} cannot be reached: {plain_words(error)}",
                "see whether its object store answers; what needs it is tried again",
            ) from error

    return translated


def plain_words(error: Exception) -> str:
    """Return the words of delta-rs on one line."""
    return one_line(_REPORT.sub(" ", str(error)))
