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

from loopline.platform_core.errors import ContractBroken, NotFound
from loopline.platform_core.foundation.distance import Floats, between, finite, measurable
from loopline.platform_core.monitor import embeddings, word_sketch
from loopline.platform_core.monitor.columns import (
    KNOWN,
    TEXT_KIND,
    TOP,
    CategoryColumn,
    Column,
    EmbeddingColumn,
    NumericColumn,
    TextColumn,
)
from loopline.platform_core.monitor.values import JOINT, SCORE, is_text, numbers, texts
from loopline.platform_core.runtime.model.manifest import PROFILE
from loopline.platform_core.specs.model import Drift

SAMPLE = "reference.arrow"
"""File beside the profile: rows of the training set for people to look at, never to judge by."""
SAMPLE_ROWS = 5_000
QUANTILES = 1_024
TAIL = 64
"""Edges a side among the outermost order statistics, where a heavy tail keeps its distance."""
WIDE, PARTS = 0.05, 8
"""Edges that are farther apart, in deviations, have so many parts between them."""
MEASURED = 50_000
"""Texts and vectors looked at; more would not tell more."""


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
            ContractBroken: a former release wrote figures that are no numbers, after values near the largest float64.
        """
        try:
            encoded = package.joinpath(PROFILE).read_bytes()
            with pa.OSFile(str(package / SAMPLE)) as source:
                sample = pa.ipc.open_file(source).read_all()
        except FileNotFoundError as error:
            raise NotFound(f"{package} holds no drift profile", "train the model anew") from error
        try:
            return cls(msgspec.json.decode(encoded, type=dict[str, Column]), sample)
        except msgspec.ValidationError as error:
            raise ContractBroken(
                f"the drift profile of {package} cannot be read: {error}", "train the model anew"
            ) from error

    @property
    def _encoded(self) -> bytes:
        return msgspec.json.encode(self.columns)


def build_profile(
    table: pa.Table, features: Sequence[str], scores: Floats, seed: int = 0, rule: Drift | None = None
) -> Profile:
    """Profile the training set.

    ``scores`` has one entry a row of ``table``: the model's output, NaN for rows that it has learnt from (a model
    is surer of those than of any live row). ``rule`` says which strings are text or categories; of the others the data
    tell.

    Raises:
        ContractBroken: a column can be neither measured nor counted, or has a name that the monitor gives away.
    """
    taken = {SCORE, JOINT} & set(features)
    if taken:
        raise ContractBroken(
            f"a feature is called {taken.pop()!r}, as the monitor calls a measure", "rename the feature"
        )
    random, rule = np.random.default_rng(seed), rule or Drift()
    chosen = np.sort(random.permutation(table.num_rows)[:SAMPLE_ROWS])
    sample = table.select(list(features)).take(chosen)
    columns = {name: _column(name, table.column(name), sample.column(name), rule) for name in features}
    drawn = pa.array(np.asarray(scores)[chosen], pa.float64(), from_pandas=True)
    marked = _marked(sample, columns).append_column(SCORE, drawn)
    return Profile({**columns, SCORE: _numeric(np.asarray(scores), missing_share=0.0)}, marked)


def _column(name: str, column: pa.ChunkedArray, sample: pa.ChunkedArray, rule: Drift) -> Column:
    if is_text(column.type):
        return _text(column) if _measured_as_text(name, sample, rule) else _category(texts(column), len(column))
    if embeddings.is_embedding(column.type):
        return _embedding(column)
    values = numbers(column)
    return _numeric(values, float(np.mean(~measurable(values))) if len(values) else 0.0)


def _measured_as_text(name: str, sample: pa.ChunkedArray, rule: Drift) -> bool:
    if name in {*rule.texts, *rule.categories}:
        return name in rule.texts
    return word_sketch.looks_like_text(sample.drop_null().to_pylist())


def _marked(sample: pa.Table, columns: Mapping[str, Column]) -> pa.Table:
    """Say in the schema which string columns are text, for whoever draws the sample."""
    marks = {name: TEXT_KIND for name, column in columns.items() if isinstance(column, TextColumn)}
    fields = [f.with_metadata({TEXT_KIND: b"text"}) if f.name in marks else f for f in sample.schema]
    return sample.cast(pa.schema(fields))


def _text(column: pa.ChunkedArray) -> TextColumn:
    read = _at_most(MEASURED, column.drop_null()).to_pylist()
    sums, lengths, within = word_sketch.counted(read)
    return TextColumn(
        buckets=sums.astype(int).tolist(),
        words=_numeric(lengths, missing_share=0.0),
        top=dict(within.most_common(TOP)),
        rows=len(read),
        missing_share=column.null_count / len(column) if len(column) else 0.0,
    )


def _embedding(column: pa.ChunkedArray) -> EmbeddingColumn:
    values = _at_most(MEASURED, column.drop_null()).to_pylist()
    dimensions = len(values[0]) if values else 0
    vectors = embeddings.matrix(values, dimensions)
    if not vectors.size:
        return EmbeddingColumn([], [], [], 1.0, 1.0, _numeric(np.empty(0), missing_share=0.0), 0, 1.0)
    mean, std = embeddings.scale(vectors)
    standard = (vectors - mean) / std
    width = embeddings.bandwidth(standard)
    return EmbeddingColumn(
        mean=mean.tolist(),
        std=std.tolist(),
        features=embeddings.features(standard, width).mean(axis=0).tolist(),
        bandwidth=width,
        unit=embeddings.unit(standard[:SAMPLE_ROWS], width),
        norms=_numeric(np.linalg.norm(vectors, axis=1), missing_share=0.0),
        rows=len(vectors),
        missing_share=1 - (1 - column.null_count / len(column)) * len(vectors) / len(values),
    )


def _at_most(rows: int, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Take so many values at even steps."""
    return column.take(pa.array(np.linspace(0, len(column) - 1, min(rows, len(column))).astype(np.int64)))


def _numeric(values: Floats, missing_share: float) -> NumericColumn:
    ordered = np.sort(finite(values))
    rows, std = max(len(ordered), 1), float(np.std(ordered)) if len(ordered) else 0.0
    edges = _split(np.unique(ordered[_positions(len(ordered))]), std * WIDE)
    at, below = (np.searchsorted(ordered, edges, side=side) for side in ("right", "left"))
    return NumericColumn(
        edges=edges.tolist(),
        at=(at / rows).tolist(),
        below=(below / rows).tolist(),
        std=std,
        rows=len(ordered),
        missing_share=missing_share,
        mean=float(np.mean(ordered)) if len(ordered) else 0.0,
        offsets=(between(ordered, edges, at, below)[1:-1] / rows).tolist() if len(edges) else [],
    )


def _split(edges: Floats, wide: float) -> Floats:
    """Add edges where two lie far apart: a window's values there would be known by their sum only."""
    places = np.flatnonzero(np.diff(edges) > wide)
    parts = np.arange(1, PARTS)[:, None] / PARTS
    return np.unique(np.concatenate([edges, ((1 - parts) * edges[places] + parts * edges[places + 1]).ravel()]))


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
