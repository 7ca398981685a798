"""Text and HTML tables for notebooks."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Any

MOST = 40
"""Letters of a cell."""
Shown = tuple[str, Sequence[str], Sequence[Sequence[Any]]]
"""A table's title, the names of its columns, and its rows."""


class Table(abc.ABC):
    """What a notebook shows as a table."""

    @property
    @abc.abstractmethod
    def _shown(self) -> Shown:
        """Return the table."""

    def __repr__(self) -> str:
        """Show it as text."""
        return text(*self._shown)

    def _repr_html_(self) -> str:
        return html(*self._shown)


def cell(value: Any) -> str:
    """Write a value for people: numbers to four digits, nothing as a dash."""
    if value is None or value == "":
        return "-"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    told = f"{value:.4g}" if isinstance(value, float) else str(value)
    return told if len(told) <= MOST else f"{told[: MOST - 1]}…"


def text(title: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Align rows in columns, below a title."""
    lines = [list(header), *([cell(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    told = ("  ".join(one.ljust(width) for one, width in zip(line, widths, strict=True)).rstrip() for line in lines)
    return "\n".join([title, *told])


def html(title: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Write rows as a table whose caption is the title."""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell(value))}</td>' for value in row)}</tr>" for row in rows)
    return f"<table><caption>{escape(title)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
