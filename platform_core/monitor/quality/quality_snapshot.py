"""Quality snapshot: all answers joined with all labels, updated incrementally from the last snapshot.

The next look reads the answers and raw rows that were added since, and computes the labels of the entities of which
something changed; of these rows only those that differ are put in the place of others. A day after everything was
read, with twice as many labels, under other rules, or where rows went, everything is read.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from importlib.metadata import version as release
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loopline.platform_core.errors import NotFound
from loopline.platform_core.features.registry.declared_source import sources
from loopline.platform_core.foundation.names import DATE, ModelRef, prediction_table, raw_table, scores_table
from loopline.platform_core.ingestion.current_row_reads import key_of
from loopline.platform_core.loop.rollouts import raw
from loopline.platform_core.monitor.quality.label_join import grown, joined
from loopline.platform_core.monitor.quality.label_rows import LabelRows, NewLabels
from loopline.platform_core.monitor.quality.labelled import answered_keys, texts
from loopline.platform_core.monitor.quality.outcomes import CODED, ORDER, READ
from loopline.platform_core.monitor.quality.snapshot_cache import Header, Look, last_look
from loopline.platform_core.specs.contracts import personal

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model, Team

WHOLE_SECONDS = 86_400.0
"""How long (by the machine's clock) looks read what is new only."""
SPARSE = 4
"""Numbers of examples for each row, beyond which they are numbered anew: those of rows that went are not reused."""
FORM = 4
"""Of what is kept, for other builds of one release: whoever changes a column or what it says counts on."""


def look_path(platform: Platform, ref: ModelRef) -> Path:
    """Return where a model's last look is kept."""
    return platform.home / "quality" / f"{ref.dotted}.arrow"


def look(platform: Platform, team: Team, model: Model) -> Look:
    """Join all answers with all labels, from what the last look kept and what is new.

    Raises:
        NotFound: nothing has arrived that could be a label.
    """
    reader = _Reader(platform, team, model)
    last = last_look(look_path(platform, reader.ref))
    if last is not None and reader.may_go_on(last):
        try:
            return reader.newer(last)
        except NotFound:
            pass  # what was added since is not known any more, or rows went
    return reader.everything()


@dataclass(frozen=True)
class _Reader:
    """Reads a model's answers and labels."""

    platform: Platform
    team: Team
    model: Model

    @property
    def ref(self) -> ModelRef:
        return ModelRef(self.team.name, self.model.name)

    def may_go_on(self, last: Look) -> bool:
        header = last.header
        fresh = 0 <= time.time() - header.everything_at < WHOLE_SECONDS
        doubled = last.standing >= 2 * header.everything_rows
        sparse = header.examples > SPARSE * (last.standing + len(last.answers))
        return fresh and not doubled and not sparse and header.by_entity and header.rules == self._rules

    def everything(self) -> Look:
        """Read all that there is.

        Raises:
            NotFound: nothing has arrived that could be a label.
        """
        raw, began = self.platform.lake.version(self._raw), time.time()
        if raw is None:
            self.platform.lake.read(self._raw)  # says what is missing
        labels = self._labels(raw or 0).every()
        tables = {table: self._rows(table) for table in self._versions}
        header = Header(
            rules=self._rules,
            everything_at=began,
            everything_rows=len(labels.rows),
            by_entity=labels.by_entity,
            within_reach=labels.within_reach,
            raw=raw or 0,
            answers=self._versions,
            oldest={table: _oldest(rows) for table, rows in tables.items()},
            repeats=0,
            examples=0,
        )
        answers = self._joinable(list(tables.values()))
        return joined(self._keys, self._keyed(labels.rows), answers, np.zeros(len(answers), np.bool_), header)

    def newer(self, last: Look) -> Look:
        """Read what was added since.

        Raises:
            NotFound: that is not known any more, rows went, or columns are others.
        """
        before, raw = last.header, self.platform.lake.version(self._raw)
        if raw is None or raw < before.raw or not before.answers.keys() <= self._versions.keys():
            raise NotFound("a table is gone", "read everything")
        added = {
            t: self._rows(t, before.answers.get(t)) for t, v in self._versions.items() if before.answers.get(t) != v
        }
        oldest = before.oldest | {t: self._still_oldest(t, rows, before.oldest.get(t)) for t, rows in added.items()}
        header = msgspec.structs.replace(before, raw=raw, answers=self._versions, oldest=oldest)
        fresh = self._joinable(list(added.values())) if added else last.answers.slice(0, 0)
        if raw == before.raw:
            new = NewLabels(pa.array([], pa.string()), last.labels.slice(0, 0))
        else:
            new = self._labels(raw).newer(before.raw, within_reach=before.within_reach)
            new = new._replace(rows=self._keyed(new.rows))
        return grown(self._keys, last, header, fresh, new)

    def _keyed(self, labels: pa.Table) -> pa.Table:
        """Give labels their entities as text, as answers have them."""
        for name, key in zip(self._keys, texts(labels, self.model.labels.entities), strict=True):
            labels = labels.append_column(name, key)
        return labels

    def _labels(self, version: int) -> LabelRows:
        return LabelRows(self.platform, self.team, self.model, version)

    def _rows(self, table: str, than: int | None = None) -> pa.Table:
        """Read rows of a table of answers, those that were added after a version or all."""
        columns = [*READ, DATE]
        lake, width = self.platform.lake, self.model.target.width
        return raw.read(lake, table, columns, width, version=self._versions[table], newer_than=than)

    def _still_oldest(self, table: str, added: pa.Table, before: tuple[date, int] | None) -> tuple[date, int]:
        """Say what the first day of a table is, and how many rows it has.

        Raises:
            NotFound: rows of that day went, and perhaps of later ones; or there are some of an earlier day.
        """
        if before is None or not before[1]:
            return _oldest(added)
        day = before[0]
        count = before[1] + len(added.filter(pc.less_equal(added[DATE], day)))
        there = self.platform.lake.read(table, version=self._versions[table], columns=[DATE], until=day)
        if len(there) != count or set(there[DATE].unique().to_pylist()) != {day}:
            raise NotFound(f"the first day of {table} is not {day} with {count} rows any more", "read everything")
        return day, count

    def _joinable(self, tables: Sequence[pa.Table]) -> pa.Table:
        """Make answers of rows: those with a score, in order, with their entities as text."""
        rows = pa.concat_tables(tables)
        rows = rows.filter(pc.is_valid(rows["score"])).sort_by([(name, "ascending") for name in ORDER]).combine_chunks()
        keys = answered_keys(rows, self.model.labels.entities, personal.entities(self.team, self.model))
        rows = rows.drop_columns(["keys", DATE])
        for name in CODED:
            rows = rows.set_column(rows.column_names.index(name), name, rows[name].dictionary_encode())
        for name, key in zip(self._keys, keys, strict=True):
            rows = rows.append_column(name, key)
        return rows

    @property
    def _keys(self) -> list[str]:
        return [f"key:{entity}" for entity in self.model.labels.entities]

    @property
    def _raw(self) -> str:
        return raw_table(self.team.name, self.model.labels.source.name)

    @cached_property
    def _versions(self) -> dict[str, int]:
        """Return the newest version of each table of answers that was ever written."""
        tables = (prediction_table(*self.ref), scores_table(*self.ref))
        found = ((table, self.platform.lake.version(table)) for table in tables)
        return {table: version for table, version in found if version is not None}

    @cached_property
    def _rules(self) -> str:
        """Name all that decides how answers and labels are joined, but for the rows."""
        labels, persons = self.model.labels, personal.entities(self.team, self.model)
        said = [
            labels.name,
            labels.entities,
            labels.time,
            labels.label,
            labels.known_at,
            labels.segments,
            labels.reach_days,
        ]
        hidden = personal.pseudonyms().of("secret", "which") if persons else ""
        place, key = self.platform.lake.place(self._raw), key_of(self.team, labels.source)
        parts = [said, sources(labels.compute), persons, hidden, key, self._raw, place, release("loopline"), FORM]
        parts += [self.model.target.width] if self.model.target.width > 1 else []
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def _oldest(rows: pa.Table) -> tuple[date, int]:
    if not len(rows):
        return date.max, 0
    day = pc.min(rows[DATE])
    return day.as_py(), len(rows.filter(pc.equal(rows[DATE], day)))
