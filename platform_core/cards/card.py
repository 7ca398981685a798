"""Document model of cards: sections of facts and tables, rendered as Markdown or JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = Sequence[str]


@dataclass(frozen=True)
class Table:
    """Rows of texts below a header."""

    title: str
    header: Row
    rows: Sequence[Row]

    def to_json(self) -> dict[str, Any]:
        """Return each row by its columns' names."""
        return {"title": self.title, "rows": [dict(zip(self.header, row, strict=True)) for row in self.rows]}


@dataclass(frozen=True)
class Section:
    """A heading with facts by name, tables, and what the platform does not know: people must write it."""

    title: str
    facts: Mapping[str, str] = field(default_factory=dict)
    tables: Sequence[Table] = ()
    to_write: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it; facts and tables that are empty are left out."""
        facts = {name: value for name, value in self.facts.items() if value}
        tables = [table.to_json() for table in self.tables if table.rows]
        return {"title": self.title, "facts": facts, "tables": tables, "to_write": list(self.to_write)}


@dataclass(frozen=True)
class Document:
    """What is told of one version; ``until`` is the last entry of the ledger that it rests on."""

    title: str
    model: str
    version: str
    until: int
    sections: Sequence[Section]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        about = {"title": self.title, "model": self.model, "version": self.version, "ledger_until": self.until}
        return {**about, "sections": [section.to_json() for section in self.sections]}

    def to_markdown(self) -> str:
        """Return it as a page."""
        lines = [f"# {_plain(self.title)}: {_plain(self.model)}, version {_plain(self.version)}", ""]
        lines.append(f"Made of the ledger up to entry {self.until}, and of what the team declares.")
        for section in self.sections:
            lines += ["", *_section(section)]
        return "\n".join(lines) + "\n"


def _section(section: Section) -> list[str]:
    lines = [f"## {section.title}", ""]
    lines += [f"- **{_plain(name)}:** {_plain(value)}" for name, value in section.facts.items() if value]
    for table in section.tables:
        if table.rows:
            lines += ["", f"**{table.title}**", "", _row(table.header), _row("---" for _ in table.header)]
            lines += [_row(row) for row in table.rows]
    if section.to_write:
        lines += ["", *(f"- [ ] To be written: {one}" for one in section.to_write)]
    return lines


def _row(cells: Any) -> str:
    return f"| {' | '.join(_plain(cell) for cell in cells)} |"


def _plain(text: str) -> str:
    """Return a text on one line that is no markup: it may come from data, or from whoever gave a reason."""
    line = " ".join(str(text).split())
    for mark in ("\\", "|", "<", ">", "[", "]", "`", "*", "_", "#"):
        line = line.replace(mark, f"\\{mark}")
    return line
