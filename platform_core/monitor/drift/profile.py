"""Training profile of a model version: the reference for drift in its package, as distributions and a small sample."""

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
from loopline.platform_core.foundation.distance import Floats
from loopline.platform_core.monitor.drift.blocks import Blocks
from loopline.platform_core.monitor.drift.columns import KINDS, TEXT_KIND, AnyColumn, Column, Kind, NumericColumn
from loopline.platform_core.monitor.drift.drift_verdicts import JOINT
from loopline.platform_core.monitor.drift.values import SCORE, is_answer
from loopline.platform_core.runtime.model.manifest import PROFILE
from loopline.platform_core.specs.model import Drift

SAMPLE = "reference.arrow"
"""File beside the profile: rows of the training set for people to look at, never to judge by."""
BLOCKS = "profile_blocks.json"
"""File beside the profile."""
SAMPLE_ROWS = 5_000


@dataclass(frozen=True, eq=False)
class Profile:
    """The reference of one model version: a distribution a column, and a sample of at most ``SAMPLE_ROWS`` rows.

    ``blocks`` are what consecutive rows of the training set show; None where a rule looks at none.
    """

    columns: Mapping[str, Column]
    sample: pa.Table
    blocks: Blocks | None = None

    @cached_property
    def digest(self) -> str:
        """Name the distributions by their content."""
        return hashlib.sha256(self._encoded).hexdigest()

    def save(self, package: Path) -> None:
        """Write ``profile.json``, what blocks show, and the sample into a package."""
        package.joinpath(PROFILE).write_bytes(self._encoded)
        if self.blocks is not None:
            package.joinpath(BLOCKS).write_bytes(msgspec.json.encode(self.blocks))
        with pa.OSFile(str(package / SAMPLE), "wb") as sink, pa.ipc.new_file(sink, self.sample.schema) as writer:
            writer.write_table(self.sample)

    @classmethod
    def load(cls, package: Path) -> Profile:
        """Read the profile of a package.

        Raises:
            NotFound: the package was made without a profile.
            ContractBroken: its figures cannot be read.
        """
        try:
            encoded = package.joinpath(PROFILE).read_bytes()
            with pa.OSFile(str(package / SAMPLE)) as source:
                sample = pa.ipc.open_file(source).read_all()
        except FileNotFoundError as error:
            raise NotFound(f"{package} holds no drift profile", "train the model anew") from error
        try:
            columns = msgspec.json.decode(encoded, type=dict[str, AnyColumn])
            blocks = package / BLOCKS
            return cls(
                columns, sample, msgspec.json.decode(blocks.read_bytes(), type=Blocks) if blocks.exists() else None
            )
        except msgspec.ValidationError as error:
            raise ContractBroken(
                f"the drift profile of {package} cannot be read: {error}", "train the model anew"
            ) from error

    @property
    def _encoded(self) -> bytes:
        return msgspec.json.encode(self.columns)


def build_profile(  # noqa: PLR0913, PLR0917 - what is profiled, and how
    table: pa.Table,
    features: Sequence[str],
    scores: Floats,
    seed: int = 0,
    rule: Drift | None = None,
    answered: pa.Table | None = None,
) -> Profile:
    """Profile the training set.

    ``scores`` has one entry a row of ``table``: the model's output, NaN for rows that it has learnt from (a model
    is surer of those than of any live row); what else of it is watched (``answered``) is null there. ``rule`` says
    which strings are text or categories; of the others the data tell.

    Raises:
        ContractBroken: a column can be neither measured nor counted, or has a name that the monitor gives away.
    """
    taken = {name for name in features if is_answer(name) or name == JOINT}
    if taken:
        raise ContractBroken(
            f"a feature is called {taken.pop()!r}, as the monitor calls a measure", "rename the feature"
        )
    random, rule = np.random.default_rng(seed), rule or Drift()
    chosen = np.sort(random.permutation(table.num_rows)[:SAMPLE_ROWS])
    sample = table.select(list(features)).take(chosen)
    columns: dict[str, Column] = {
        name: _kind(name, sample.column(name), rule).profiled(table.column(name)) for name in features
    }
    drawn = pa.array(np.asarray(scores)[chosen], pa.float64(), from_pandas=True)
    marked = _marked(sample, columns).append_column(SCORE, drawn)
    columns[SCORE] = NumericColumn.of(np.asarray(scores))
    for field, values in zip(answered.schema, answered.columns, strict=True) if answered is not None else ():
        columns[field.name] = _kind(field.name, values, rule).profiled(values.drop_null())
        marked = marked.append_column(field, values.take(chosen))
    return Profile(columns, marked)


def _kind(name: str, sample: pa.ChunkedArray, rule: Drift) -> type[Column]:
    """Choose the kind of a column: as declared, or as its values look."""
    declared: Kind | None = "text" if name in rule.texts else "category" if name in rule.categories else None
    return next(kind for kind in KINDS if kind.reads(sample.type) and kind.suits(sample, declared))


def _marked(sample: pa.Table, columns: Mapping[str, Column]) -> pa.Table:
    """Say in the schema which string columns are text, for whoever draws the sample."""
    marks = {name: {TEXT_KIND: b"text"} for name, column in columns.items() if column.kind == "text"}
    fields = [f.with_metadata(marks[f.name]) if f.name in marks else f for f in sample.schema]
    return sample.cast(pa.schema(fields))
