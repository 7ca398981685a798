"""Fake drift report: an HTML table of distances, without a drawing library."""

from __future__ import annotations

import html
from pathlib import Path
from urllib.parse import quote, unquote

import numpy as np
import pyarrow as pa

from loopline.platform_core.contracts.drift_report import DriftReport
from loopline.platform_core.foundation.distance import finite, js_distance, wasserstein
from loopline.platform_core.monitor.drift.embeddings import is_embedding
from loopline.platform_core.monitor.drift.values import is_text, numbers, texts


class InMemoryDriftReport(DriftReport):
    """Writes each column's distance into one small HTML table."""

    def render(self, reference: pa.Table, current: pa.Table, page: Path, title: str) -> Path:
        """Draw a window against the reference."""
        sides = self.sampled(reference), self.sampled(current)
        names = dict.fromkeys([*reference.column_names, *current.column_names])
        lines = "".join(self.line(name, self.score(*sides, name)) for name in names)
        rows = " and ".join(self.counted(side) for side in (reference, current))
        page.write_text(f"<!DOCTYPE html><h1>{html.escape(title)}</h1><p>{rows}</p><table>{lines}</table>", "utf-8")
        if self.workspace:
            self.keep(title)
        return page

    def keep(self, title: str) -> None:
        """Write the title into the workspace, once."""
        folder = Path(self.workspace)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / quote(title, safe="")).touch()

    def titles(self) -> list[str]:
        """Return the titles in the workspace."""
        return sorted(unquote(file.name) for file in Path(self.workspace).iterdir()) if self.workspace else []

    def sampled(self, table: pa.Table) -> pa.Table:
        """Take at most ``max_rows`` rows, the same ones each time."""
        return table.take(np.random.default_rng(0).permutation(table.num_rows)[: self.max_rows])

    def counted(self, table: pa.Table) -> str:
        """Say how many rows of how many are looked at."""
        return f"{min(self.max_rows, table.num_rows)} of {table.num_rows} rows"

    def score(self, reference: pa.Table, current: pa.Table, name: str) -> float | None:
        """Measure a column; None where a side has no values."""
        if name not in reference.column_names or name not in current.column_names:
            return None
        left, right = reference.column(name), current.column(name)
        if is_embedding(left.type):
            return None
        if is_text(left.type):
            return _category(texts(left), texts(right))
        values, others = finite(numbers(left)), finite(numbers(right))
        return wasserstein(others, values) if len(values) and len(others) else None

    def line(self, name: str, score: float | None) -> str:
        """Write one column's row of the table."""
        name, data = html.escape(name), "" if score is None else f' data-score="{score!r}"'
        return f'<tr data-column="{name}"{data}><td>{name}</td><td>{score}</td></tr>'


def _category(left: dict[str, int], right: dict[str, int]) -> float | None:
    names = sorted(left.keys() | right.keys())
    if not left or not right:
        return None
    return js_distance([left.get(name, 0) for name in names], [right.get(name, 0) for name in names])
