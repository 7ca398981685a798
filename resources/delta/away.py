"""Timeouts and error mapping for Delta tables on an object store."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, NamedTuple, ParamSpec, TypeVar, cast

from loopline.platform_core.errors import StoreUnavailable, one_line

if TYPE_CHECKING:
    from loopline.resources.delta.lake import DeltaLake

_BOUNDS = {"timeout": "20s", "retry_timeout": "20s"}
"""How long one request may take, and after how long none is tried again. delta-rs itself goes on for three minutes;
Dagster ends a sensor's look after one, and nobody would hear why."""
_REPORT = re.compile(r"\x1b\[\d*m|[^\x1b\x20-\x7e]+")
"""Colours, arrows and line ends of what delta-rs prints for people."""
_QUERY = re.compile(r"(?<=\S)\?\S+")
P = ParamSpec("P")
R = TypeVar("R")


class _Kind(NamedTuple):
    """A failure that somebody has to mend: by which words it is known, what it means, and what to do."""

    words: tuple[str, ...]
    problem: str
    fix: str


_KINDS = (
    _Kind(
        ("RequestTimeTooSkewed",),
        "the clock of this machine is not the store's",
        "set this machine's clock, for example by NTP",
    ),
    _Kind(
        ("NoSuchBucket", "ContainerNotFound", "ContainerBeingDeleted"),
        "its bucket is gone",
        "make the bucket again, restore what was in it, or name another one in the environment file",
    ),
    _Kind(
        ("ExpiredToken", "The provided token has expired"),
        "the credentials of this process have expired",
        "renew them, or let the process have an identity of its own, whose credentials renew themselves",
    ),
    _Kind(
        ("403 Forbidden", "401 Unauthorized", "necessary privileges", "valid authentication credentials"),
        "it refuses this identity",
        "give this identity the right to list, read, write and delete below the lake's root, and see whether its key "
        "and this machine's clock are right",
    ),
)
_LATER_SECONDS = 30
"""After how long another try is worth it where somebody has to mend something."""


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
            fix = "see whether its object store answers; what needs it is tried again"
            raise unavailable(f"the lake at {root} cannot be reached", error, fix) from error

    return translated


def unavailable(what: str, error: Exception, fix: str) -> StoreUnavailable:
    """Tell a store's failure as what it is, with ``fix`` where it is not known what it is."""
    said = str(error)
    for kind in _KINDS:
        if any(word in said for word in kind.words):
            return StoreUnavailable(f"{what}: {kind.problem} ({_words(error)})", kind.fix, _LATER_SECONDS)
    return StoreUnavailable(f"{what}: {_words(error)}", fix)


def is_for_somebody(error: Exception) -> bool:
    """Say whether a failure stays until somebody mends something, so that no other try is worth it now."""
    return any(word in str(error) for kind in _KINDS for word in kind.words)


def _words(error: Exception) -> str:
    """Return the words of delta-rs on one line, without the queries of URLs, which hide what comes after them."""
    return one_line(_REPORT.sub(" ", _QUERY.sub("", str(error)).replace("µs", "us")))
