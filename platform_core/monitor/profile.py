"""What a model version learnt from, small enough to travel in its package: distributions, not rows.

Source of the edges: measured against Evidently's own tests on seven shapes; without the edges in the tails a
Pareto column is off by 0.07.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa

from platform_core.errors import ContractBroken, NotFound
from platform_core.monitor.distance import Floats, finite
from platform_core.monitor.values import SCORE, is_text, numbers, texts
from platform_core.runtime.manifest import PROFILE

SAMPLE = "reference.arrow"
"""File beside the profile: rows of the training set for people to look at, never to judge by."""
SAMPLE_ROWS = 5_000
QUANTILES = 1_024
TAIL = 64
"""Edges a side among the outermost order statistics, where a heavy tail keeps its distance."""
TOP = 50
"""Categories counted by name; the rest fold into one."""
KNOWN = 5_000
"""Names remembered of the categories beyond ``TOP``; a value that is not among them counts as unseen."""


class NumericColumn(msgspec.Struct, frozen=True, tag="numeric"):
    """Distribution of ``rows`` finite values: ``at[i]`` is the share ≤ ``edges[i]``, ``below[i]`` the share <."""

    edges: list[float]
    at: list[float]
    below: list[float]
    std: float
    rows: int
    missing_share: float


class CategoryColumn(msgspec.Struct, frozen=True, tag="category"):
    """Counts of ``rows`` values: the most frequent by name, ``other`` for all the rest, of which ``rest`` are names."""

    counts: dict[str, int]
    other: int
    rest: list[str]
    rows: int
    missing_share: float


Column = NumericColumn | CategoryColumn


@dataclass(frozen=True, eq=False)
class Profile:
    """The reference of one model version: a distribution a column, and a sample of at most ``SAMPLE_ROWS`` rows."""

    columns: Mapping[str, Column]
    sample: pa.Table

    @cached_property
    def digest(self) -> str:
        """Name the distributions by their content."""
        return hashlib.sha256(self._encoded).hexdigest()

    def save(self, package: Path) -> None:
        """Write ``profile.json`` and the sample into a package."""
        package.joinpath(PROFILE).write_bytes(self._encoded)
        with pa.OSFile(str(package / SAMPLE), "wb") as sink, pa.ipc.new_file(sink, self.sample.schema) as writer:
            writer.write_table(self.sample)

    @classmethod
    def load(cls, package: Path) -> Profile:
        """Read the profile of a package.

        Raises:
            NotFound: the package was made without a profile.
        """
        try:
            encoded = package.joinpath(PROFILE).read_bytes()
            with pa.OSFile(str(package / SAMPLE)) as source:
                sample = pa.ipc.open_file(source).read_all()
        except FileNotFoundError as error:
            raise NotFound(f"{package} holds no drift profile", "train the model anew") from error
        return cls(msgspec.json.decode(encoded, type=dict[str, Column]), sample)

    @property
    def _encoded(self) -> bytes:
        return msgspec.json.encode(self.columns)


def build_profile(table: pa.Table, features: Sequence[str], scores: Floats, seed: int = 0) -> Profile:
    """Profile the training set.

    ``scores`` has one entry a row of ``table``: the model's output, NaN for rows that it has learnt from (a model
    is surer of those than of any live row).

    Raises:
        ContractBroken: a column can be neither measured nor counted.
    """
    if SCORE in features:
        raise ContractBroken(f"a feature is called {SCORE!r}, as the model's output is", "rename the feature")
    columns = {name: _column(table.column(name)) for name in features}
    chosen = np.random.default_rng(seed).permutation(table.num_rows)[:SAMPLE_ROWS]
    sample = table.select(list(features)).append_column(SCORE, pa.array(scores, pa.float64(), from_pandas=True))
    return Profile({**columns, SCORE: _numeric(np.asarray(scores), missing_share=0.0)}, sample.take(np.sort(chosen)))


def _column(column: pa.ChunkedArray) -> Column:
    if is_text(column.type):
        return _category(texts(column), len(column))
    values = numbers(column)
    return _numeric(values, float(np.mean(~np.isfinite(values))) if len(values) else 0.0)


def _numeric(values: Floats, missing_share: float) -> NumericColumn:
    ordered = np.sort(finite(values))
    edges = np.unique(ordered[_positions(len(ordered))])
    rows = max(len(ordered), 1)
    return NumericColumn(
        edges=edges.tolist(),
        at=(np.searchsorted(ordered, edges, side="right") / rows).tolist(),
        below=(np.searchsorted(ordered, edges, side="left") / rows).tolist(),
        std=float(np.std(ordered)) if len(ordered) else 0.0,
        rows=len(ordered),
        missing_share=missing_share,
    )


def _positions(rows: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Choose order statistics: evenly by rank, and ever closer towards both ends."""
    if not rows:
        return np.empty(0, dtype=np.int64)
    even = np.linspace(0, rows - 1, QUANTILES + 1)
    tail = np.geomspace(1, max(rows / QUANTILES, 2), TAIL) - 1
    return np.unique(np.clip(np.concatenate([even, tail, rows - 1 - tail]), 0, rows - 1).astype(np.int64))


def _category(values: Mapping[str, int], rows: int) -> CategoryColumn:
    ranked = sorted(values, key=lambda name: (-values[name], name))
    present = sum(values.values())
    return CategoryColumn(
        counts={name: values[name] for name in ranked[:TOP]},
        other=sum(values[name] for name in ranked[TOP:]),
        rest=ranked[TOP : TOP + KNOWN],
        rows=present,
        missing_share=1 - present / rows if rows else 0.0,
    )
