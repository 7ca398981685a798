"""Output of commands: an answer as text or JSON, or an error with its fix."""

from __future__ import annotations

import dataclasses
import json as codec
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import click


@dataclass(frozen=True)
class Answer:
    """What a command found: ``data`` for programs, ``text`` for people, and the exit code."""

    data: Mapping[str, Any]
    text: str
    exit_code: int = 0


def show(answer: Answer, *, json: bool) -> None:
    """Write an answer to stdout."""
    click.echo(codec.dumps(plain(answer.data), ensure_ascii=False) if json else answer.text)


def show_problem(kind: str, problem: str, fix: str, *, json: bool) -> None:
    """Write a problem: two lines to stderr, or one object to stdout."""
    if json:
        click.echo(codec.dumps({"error": kind, "problem": problem, "fix": fix}, ensure_ascii=False))
        return
    click.echo(f"{click.style('problem', fg='red', bold=True)}  {problem}", err=True)
    click.echo(f"{click.style('fix', fg='green', bold=True)}      {fix}", err=True)


def as_json(arguments: Sequence[str]) -> bool:
    """Say whether raw arguments ask for JSON, for a call that could not be parsed."""
    pairs = zip(arguments, [*arguments[1:], ""], strict=True)
    return any(a == "--output=json" or (a == "--output" and b == "json") for a, b in pairs)


def plain(value: Any) -> Any:
    """Make a value of what JSON can hold: ISO times, records as objects, what is no number as null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and not hasattr(value, "_fields"):
        return [plain(item) for item in value]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    return value.isoformat() if isinstance(value, date) else str(value)  # such as a path, or team/model


def table(rows: Sequence[Sequence[Any]], header: Sequence[str] = ()) -> str:
    """Align rows in columns, two spaces apart."""
    lines = [[cell(value) for value in row] for row in ([header, *rows] if header else rows)]
    if not lines:
        return ""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(text.ljust(w) for text, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def cell(value: Any) -> str:
    """Write a value for people: times to the second in UTC, numbers to four digits, nothing as a dash."""
    if value is None or value == "":
        return "-"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
