"""Sorting and filtering of lists by query parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class ListQuery:
    """What a list was asked for: rows with ``text`` in them, of a ``team``, that ``show`` lets in, by ``sort``."""

    text: str
    team: str
    show: str
    sort: str
    descending: bool

    @property
    def query(self) -> dict[str, str]:
        """Return it as the parameters of the list's address."""
        plain = {name: getattr(self, name) for name in ("text", "team", "show", "sort")}
        return {**plain, "descending": "true" if self.descending else "false"}


def ordered(rows: Sequence[T], value: Callable[[T], Any], descending: bool) -> list[T]:
    """Sort rows by a value; those without one come last in both directions."""
    with_value = sorted((row for row in rows if value(row) is not None), key=value, reverse=descending)
    return [*with_value, *(row for row in rows if value(row) is None)]
