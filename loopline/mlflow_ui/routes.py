"""Permission that an MLflow request needs, by method and path; unlisted routes are denied."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from enum import IntEnum
from functools import cache

from loopline.mlflow_ui import table

GRAPHQL = "/graphql"
"""Where one address takes what reads and what changes: what was asked says which."""
NAMED = ("/registered-models/", "/model-versions/")
"""What changes models and versions is let through only if the record can say of which."""
_BOTH = ("/api/", "/ajax-api/")
_PARAMETER = re.compile(r"\{(\w+)(:path)?\}")


class Need(IntEnum):
    """What whoever asks must have; where several lines name a request, the last of these counts."""

    OPEN = 0
    """Nothing."""
    MEMBER = 1
    """A role in this tenant."""
    WRITE = 2
    """The right to write the registry."""
    CLOSED = 3
    """Nobody has it."""


TABLES = {
    Need.OPEN: table.OPEN,
    Need.MEMBER: table.READ,
    Need.WRITE: table.CHANGE,
    Need.CLOSED: table.CLOSED,
}


def lines() -> Iterator[tuple[str, str, Need]]:
    """Yield method, path as MLflow writes it, and need."""
    for need, text in TABLES.items():
        for line in text.split("\n"):
            methods, _, path = line.partition(" ")
            for method in filter(None, methods.split(",")):
                yield from ((method, each, need) for each in _paths(path))


def needed(method: str, path: str, prefix: str = "") -> Need | None:
    """Return what a request needs; ``path`` is decoded, below ``prefix`` if MLflow's pages are. None: it is nobody's.

    A path that a router might read as another one is nobody's: with dots, empty parts, backslashes or control marks.
    """
    if not path.startswith("/") or not path.isprintable() or "\\" in path or _leads_away(path):
        return None
    asked = "GET" if method == "HEAD" else method
    tried = {path, path.removeprefix(prefix)}  # MLflow keeps artifacts beside its prefix too
    return max((need for pattern, need in _patterns()[asked] if any(map(pattern.fullmatch, tried))), default=None)


def _leads_away(path: str) -> bool:
    return "//" in path or not {".", ".."}.isdisjoint(path.split("/"))


def _paths(path: str) -> tuple[str, ...]:
    return (path,) if path.startswith("/") else tuple(f"{root}{path}" for root in _BOTH)


@cache
def _patterns() -> defaultdict[str, list[tuple[re.Pattern[str], Need]]]:
    found: defaultdict[str, list[tuple[re.Pattern[str], Need]]] = defaultdict(list)
    for method, path, need in lines():
        found[method].append((_pattern(path), need))
    return found


def _pattern(path: str) -> re.Pattern[str]:
    parts = _PARAMETER.split(path)  # text, name, ":path" or None, text, and so on
    texts, kinds = parts[::3], [*parts[2::3], ""]
    wild = [".+" if kind else "[^/]+" for kind in kinds[:-1]]
    return re.compile("".join(re.escape(text) + each for text, each in zip(texts, [*wild, ""], strict=True)))
