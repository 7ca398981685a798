"""Rows of a view or of a pinned training set in a notebook, as Arrow, pandas or Polars."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from loopline.lab import showing
from loopline.platform_core.training import training_set
from loopline.platform_core.training.examples import Learnable, learnable

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model, Team
    from loopline.platform_core.training.training_set import TrainingSet

SHOWN = 5


@dataclass(frozen=True, eq=False)
class Frame:
    """Rows, and what they are in a few words."""

    title: str
    table: pa.Table

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.table)

    def to_pandas(self) -> Any:
        """Return a pandas data frame; pandas must be installed."""
        return self.table.to_pandas()

    def to_polars(self) -> Any:
        """Return a Polars data frame."""
        import polars as pl

        return pl.from_arrow(self.table)

    def __repr__(self) -> str:
        """Say what it is, and show the first rows."""
        return showing.text(self._said, self.table.column_names, self._first)

    def _repr_html_(self) -> str:
        return showing.html(self._said, self.table.column_names, self._first)

    @property
    def _said(self) -> str:
        return f"{self.title}: {len(self):,} rows"

    @property
    def _first(self) -> list[list[Any]]:
        return [list(row.values()) for row in self.table.slice(0, SHOWN).to_pylist()]


@dataclass(frozen=True, eq=False, repr=False)
class TrainingRows(Frame):
    """A pinned training set: the same rows whenever it is asked for, and who learns from which of them.

    ``parts`` are those of every training: the oldest rows to learn from, newer ones to choose by, the newest to be
    judged on.
    """

    platform: Platform
    team: Team
    model: Model
    pinned: TrainingSet

    @classmethod
    def of(cls, platform: Platform, team: Team, model: Model, pinned: TrainingSet) -> TrainingRows:
        """Rebuild the rows, or what is left of them since persons were erased; raises as ``training_set.rows``."""
        pinned = training_set.since_erasures(platform.ledger, pinned)
        table = training_set.rows(platform, team, model, pinned)
        described = ", ".join(f"{name} {value:.4g}" for name, value in pinned.described.items())
        erased = f"; {pinned.erased_rows} rows were erased since" if pinned.erased_rows else ""
        title = f"training set {pinned.training_set_id} ({described}{erased})"
        return cls(title, table, platform, team, model, pinned)

    @cached_property
    def learnable(self) -> Learnable:
        """Return the rows as ``fit`` is given them; raises ``ContractBroken`` where they are too few to be split."""
        fields = training_set.feature_fields(self.platform, self.team, self.model)
        names = [name for _, features, _ in fields for name in features]
        return learnable(self.table, names, self.model.target)

    @property
    def held_out(self) -> pa.Table:
        """Return the newest rows, on which versions are judged."""
        return self.table.slice(self.learnable.parts.evaluation.start)
