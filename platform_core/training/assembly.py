"""Builds a training set's rows: labels, joined point in time with each view's offline rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from loopline.platform_core.contracts.engine import ViewRows
from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.features.compute.changes import differ
from loopline.platform_core.features.compute.entity_locality import refuse_short_reach
from loopline.platform_core.features.compute.label_check import labels_of
from loopline.platform_core.features.compute.view_features import ViewFeatures, view_features
from loopline.platform_core.features.materialization.corrections import as_if_right
from loopline.platform_core.foundation.names import (
    CORRECTS_SINCE,
    CREATED_AT,
    EVENT_TIME,
    GONE,
    KNOWN_AT,
    LABEL,
    raw_table,
    view_table,
)
from loopline.platform_core.ingestion.current_rows import holding
from loopline.platform_core.training.corrected import LEFT_OUT

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from loopline.platform_core.loop.cycles.quarantines import Window
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model, Team


def feature_fields(platform: Platform, team: Team, model: Model) -> list[ViewFeatures]:
    """Find out the features of each view, by running it on no rows.

    Raises:
        InvalidSpec: two features of the model have one name, or one has the name of an entity.
    """
    from loopline.platform_core.specs.contracts.odcs import contract_of

    found = [view_features(platform, view, contract_of(team, view.source)) for view in model.features]
    taken = dict.fromkeys([*model.labels.entities, EVENT_TIME, LABEL, KNOWN_AT], "the labels")
    for view, names, _ in found:
        for name in names:
            if name in taken:
                raise InvalidSpec(
                    f"model {model.name!r}: {name!r} is a feature of view {view.name!r} and a column of {taken[name]}",
                    "give each feature of a model its own name",
                )
            taken[name] = f"view {view.name!r}"
    return found


@dataclass(frozen=True)
class Joined:
    """A training set's rows, and for each whether one of its features was ``corrected`` since."""

    rows: pa.Table
    corrected: NDArray[np.bool_]

    def chosen(self, corrections: str) -> pa.Table:
        """Return what is learnt from, by what becomes of rows that were corrected since."""
        import pyarrow as pa

        if corrections != LEFT_OUT:
            return self.rows
        return self.rows.filter(pa.array(~self.corrected)).combine_chunks()


@dataclass(frozen=True)
class Assembly:
    """Builds a model's rows as they were known at ``as_of``, from the given versions of tables.

    ``key`` names the raw rows of the labels' source. Rows of events in windows that are ``left_out`` are none of them.
    Where it ``tries`` them, labels that reach further than they declare are refused.
    """

    platform: Platform
    team: Team
    model: Model
    as_of: datetime
    tables: Mapping[str, int]
    key: tuple[str, ...] = ()
    left_out: tuple[Window, ...] = ()
    tries: bool = False

    def rows(self) -> Joined:
        """Return one row per known label: entities, event time, features, label, segments; in a fixed order."""
        import numpy as np
        import pyarrow as pa
        from pyarrow import compute

        entities, fields = list(self.model.labels.entities), feature_fields(self.platform, self.team, self.model)
        features = [name for _, names, _ in fields for name in names]
        segments = [name for name in self.model.labels.segments if name not in (*features, *entities)]
        labels = self.labels().select([*entities, EVENT_TIME, LABEL, *segments])
        views = [self.view_rows(each) for each in fields]
        joined = self.platform.engine.point_in_time(labels, views)
        corrected = self._corrected(labels, joined, views)
        columns = [*entities, EVENT_TIME, *features, LABEL, *segments]
        first = [EVENT_TIME, *entities]
        sortable = [name for name in columns if not pa.types.is_list(joined.schema.field(name).type)]
        order = [(name, "ascending") for name in first + [name for name in sortable if name not in first]]
        places = compute.sort_indices(joined, order)
        rows = joined.select(columns).take(places).combine_chunks()
        return Joined(rows, corrected[np.asarray(places)])

    def _corrected(self, labels: pa.Table, joined: pa.Table, views: Sequence[ViewRows]) -> NDArray[np.bool_]:
        """Say of each label whether it would have other features had what was corrected by now come right at once."""
        import numpy as np

        righted = [(each.view, as_if_right(each.rows, each.view.entity, self.as_of)) for each in views]
        there = [ViewRows(view, rows) for view, rows in righted if rows is not None]
        found = np.zeros(len(labels), np.bool_)
        if not there:
            return found
        other = self.platform.engine.point_in_time(labels, there)
        for name in other.column_names[len(labels.column_names) :]:
            found |= differ(joined[name], other[name])
        return found

    def labels(self) -> pa.Table:
        """Compute labels from the raw rows that held by what had arrived, and keep those that were known.

        Raises:
            ContractBroken: they are tried, and reach further than ``reach_days``.
        """
        import pyarrow as pa
        from pyarrow import compute

        then = pa.scalar(self.as_of, pa.timestamp("us", "UTC"))
        engine, raw = self.platform.engine, self.read(raw_table(self.team.name, self.model.labels.source.name))
        held = holding(raw, self.key, self.as_of)
        labels = labels_of(engine, self.model, held)
        if self.tries:
            refuse_short_reach(engine, self.model.labels, held, labels)
        known = compute.and_(compute.less_equal(labels[KNOWN_AT], then), compute.less_equal(labels[EVENT_TIME], then))
        for window in self.left_out:
            since, until = (pa.scalar(at, pa.timestamp("us", "UTC")) for at in (window.since, window.until))
            times = labels[EVENT_TIME]
            known = compute.and_(known, compute.or_(compute.less(times, since), compute.greater_equal(times, until)))
        return labels.filter(compute.and_(known, compute.is_valid(labels[LABEL])))

    def view_rows(self, fields: ViewFeatures) -> ViewRows:
        """Read a view's offline rows."""
        view, held = fields.view, self.read(view_table(self.team.name, fields.view))
        missing = sorted(set(fields.names) - set(held.column_names))
        if missing:
            raise InvalidSpec(
                f"feature view {view.name!r} returns {missing}, which its table does not hold",
                f"give the changed view version={view.version + 1} and materialize it",
            )
        said = [name for name in (GONE, CORRECTS_SINCE) if name in held.column_names]
        return ViewRows(view, held.select([view.entity, EVENT_TIME, CREATED_AT, *fields.names, *said]))

    def read(self, table: str) -> pa.Table:
        """Read a table at its pinned version."""
        return self.platform.lake.read(table, version=self.tables[table])
