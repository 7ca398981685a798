"""Contract of engines: run row checks, feature views, labels and point-in-time joins on tables."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from loopline.platform_core.contracts.base import Vendor

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.specs.contracts.contract_file import RowContract
    from loopline.platform_core.specs.labels import Labels
    from loopline.platform_core.specs.views.features import FeatureView


ScoreRows = Callable[[Path, "pa.Table"], Sequence[float]]
"""Scores rows with the model package of a folder; a function of a module, so that another machine finds it by name.

It gives one number a row, or as many of each, row after row.
"""


@dataclass(frozen=True)
class Checked:
    """Rows that keep the contract, typed by it; and rows that do not, as they came, with ``reasons`` (list<string>)."""

    good: pa.Table
    bad: pa.Table


@dataclass(frozen=True)
class ViewRows:
    """A view and the rows of its offline table: entity, event_time, created_at, features, and perhaps ``_gone``."""

    view: FeatureView
    rows: pa.Table


class Engine(Vendor):
    """What runs a team's declarations on tables; ``loopline.platform_core.features`` holds what all engines share.

    Promises, each with a test in ``loopline.platform_core.testing.engine`` (the last two in ``engine_histories``):
      1. ``check_rows`` splits rows: good and bad together are everything, each bad row has every reason, good
         rows are typed.
      2. ``compute_view`` gives one row per entity and event time with ``event_time`` and ``created_at`` in UTC µs,
         features as int64, float64, string or bool. ``created_at`` is never before the event, nor before the
         arrival of any raw row of that entity up to that event; a row older than all of them is refused.
         For a view served from the request ``created_at`` equals ``event_time``.
      3. ``point_in_time`` returns the labels' rows in their order, with each view's features as known at the
         label's event time: neither its event nor its ``created_at`` lies after it.
      4. Of several rows with the same entity and event time the one created last, but before the label, counts.
      5. A row older than the view's ``ttl_days`` at the label's event time is null; exactly as old is not.
      6. The order of input rows does not matter: what comes out is the same bit for bit.
      7. A null key, or a null event time, joins nothing.
      8. ``compute_labels`` gives entities, ``event_time``, ``label`` (float64, or text where it
         is one, or a list of either, of any length), ``known_at`` (UTC, µs) and segments.
      9. Types and values are those of any other engine: equal, and bit for bit where floats are taken as they are or
         whole numbers are added up; sums of fractions and quotients to 1e-9.
      10. ``point_in_time`` takes no row that is no more: from the ``created_at`` of a row with ``_gone`` on there is
          none of that entity and event, until one is created later, and the newest of the others counts.
      11. ``score`` gives each row the number that ``score`` gave it, or the numbers, in the rows' order, in whatever
          parts and wherever they were scored; what it raised of ours is raised.

    ``is_light`` says that a call on no rows starts nothing and costs milliseconds, so that a sensor may make it.
    """

    is_light: ClassVar[bool] = True

    @contextmanager
    def set_apart(self, name: str) -> Iterator[Self]:  # noqa: ARG002 - it keeps nothing
        """Give another one: an engine holds nothing from which it had to be set apart."""
        yield self.with_settings()

    @abc.abstractmethod
    def check_rows(self, rows: pa.Table, contract: RowContract) -> Checked:
        """Split raw text rows by the contract; the columns of ``names.CARRIED`` are carried along on both sides.

        Raises:
            ContractBroken: a required column is missing, or an optional one beside a column that the contract does not
            name (it may have been renamed); or one is of another type altogether.
        """

    @abc.abstractmethod
    def compute_view(self, view: FeatureView, raw: pa.Table) -> pa.Table:
        """Run a view over accepted raw rows (contract columns and ``_arrived_at``).

        Returns:
            Columns entity, event_time, created_at, then features in the order in which the function returns them.

        Raises:
            InvalidSpec: a column that the view names is missing. TaskFailed: its function raised.
            ContractBroken: its rows repeat a key, have times without a zone, or rest on what came after them.
        """

    @abc.abstractmethod
    def compute_labels(self, labels: Labels, raw: pa.Table) -> pa.Table:
        """Run the labels' function over accepted raw rows; raises as ``compute_view``."""

    @abc.abstractmethod
    def point_in_time(self, labels: pa.Table, views: Sequence[ViewRows]) -> pa.Table:
        """Join each label's row with the features as they were known at its event time.

        Raises:
            ContractBroken: a time has no zone, or a key has another type than in the labels.
            InvalidSpec: the labels lack a view's entity, or two columns have one name.
        """

    def score(self, package: Path, rows: pa.Table, score: ScoreRows) -> Sequence[float]:
        """Score rows with the model package of a folder, here unless the engine has machines of its own for that.

        Raises:
            What ``score`` raises. Transient: the machines were lost.
        """
        return score(package, rows)
