"""What a benchmark found, and the page that shows it."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

import psutil

HEAD = """# Benchmarks

`make bench` writes this page. All sides run on the same machine, in turns, ours and bare ones in the same environment,
a peer such as Feast in its own (`benchmarks/peers`); figures are medians.

"""
LIBRARIES = (
    "dagster",
    "dagster-webserver",
    "sqlalchemy",
    "pydantic",
    "mlflow",
    "polars",
    "deltalake",
    "duckdb",
    "redis",
    "lightgbm",
)


@dataclass(frozen=True)
class Promise:
    """A figure and what it may be at most."""

    what: str
    value: float
    bound: float
    unit: str = ""

    @property
    def kept(self) -> bool:
        """Say whether the figure is within the bound."""
        return self.value <= self.bound

    def __str__(self) -> str:
        """Write it as one line."""
        return f"{self.what}: {self.value:.2f}{self.unit}, at most {self.bound:g}{self.unit}: {_word(self.kept)}"


@dataclass(frozen=True)
class Section:
    """One benchmark: what was measured and how, a table, and the promises that it is held to."""

    title: str
    how: str
    header: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    promises: Sequence[Promise]

    def __str__(self) -> str:
        """Write it as Markdown."""
        lines = [f"## {self.title}", "", self.how, "", _row(self.header), _row(["---"] * len(self.header))]
        lines += [_row(row) for row in self.rows]
        return "\n".join([*lines, "", *(f"- {promise}" for promise in self.promises), ""])


def write(sections: Sequence[Section], before: str = "") -> str:
    """Return the page with these sections; those that stood in the page ``before`` and were not measured stay."""
    new = {f"## {section.title}": str(section) for section in sections}
    old = {part.partition("\n")[0]: part for part in _parts(before)}
    kept = {title: new.pop(title, part) for title, part in old.items() if title != "## Machine"}
    return HEAD + "\n".join([*kept.values(), *new.values(), machine()])


def _parts(page: str) -> list[str]:
    """Cut a page at its headings."""
    found = page.split("\n## ")[1:]
    return [f"## {part.rstrip()}\n" for part in found]


def machine() -> str:
    """Say on what it was measured."""
    memory_gb = psutil.virtual_memory().total / 2**30
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return (
        f"## Machine\n\n{os.cpu_count()} cores ({platform.machine()}), {memory_gb:.0f} GB memory, "
        f"{platform.system()}, Python {platform.python_version()}; {libraries}.\n"
    )


def _word(kept: bool) -> str:
    return "kept" if kept else "**not kept**"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
