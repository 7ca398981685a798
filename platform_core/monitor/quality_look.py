"""What a look at quality rests on: every answer beside every label, joined, and kept for the next look.

The next look reads the answers and raw rows that were added since, and computes the labels of the entities of which
something changed. What is kept is a file beside the packages on which nothing rests: without it, a day after
everything was read, with twice as many labels, under other rules, or where rows went, everything is read.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
from loopline.platform_core.features.declared_source import sources
from loopline.platform_core.foundation import files
from loopline.platform_core.foundation.names import DATE, ModelRef, prediction_table, raw_table, scores_table
from loopline.platform_core.ingestion.held_rows import key_of
from loopline.platform_core.monitor.label_rows import LabelRows
from loopline.platform_core.monitor.labelled import (
    Keyed,
    LabelBook,
    Places,
    answered_keys,
    matched,
    numbered,
    numbered_examples,
    repeats,
    texts,
)
from loopline.platform_core.monitor.outcomes import ORDER, READ, Answered
from loopline.platform_core.monitor.realised import Recorded
from loopline.platform_core.specs import personal

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model, Team

WHOLE_SECONDS = 86_400.0
"""How long (by the machine's clock) looks read what is new only."""
SPARSE = 4
"""Numbers of examples for each row, beyond which they are numbered anew: those of changed entities are not reused."""
EXAMPLE, IN_REALISED = "_example", "_in_realised"
FORM = 1
"""Of what is kept, for other builds of one release: whoever changes a column or what it says counts on."""
_HEADER = b"loopline.look"


class Header(msgspec.Struct, frozen=True):
    """How far a look read, and what it found out.

    ``answers`` are versions of tables; ``oldest`` the first day of each and how many rows it has; ``repeats`` counts
    label rows beyond the first of their entities; ``windows`` says what each window was measured from.
    """

    rules: str
    everything_at: float
    everything_rows: int
    by_entity: bool
    raw: int
    answers: dict[str, int]
    oldest: dict[str, tuple[date, int]]
    repeats: int
    realised: int = 0
    windows: dict[str, str] = {}


@dataclass(frozen=True, eq=False)
class Look:
    """Labels, and answers in ``ORDER``; both with their entities as text and the number of their example."""

    labels: pa.Table
    answers: pa.Table
    header: Header

    @property
    def book(self) -> LabelBook:
        """Return the labels."""
        return LabelBook(self.labels)

    @property
    def answered(self) -> Answered:
        """Return the answers beside their labels."""
        return Answered(self.answers, matched(_numbers(self.labels), _numbers(self.answers)))

    @property
    def realised(self) -> Recorded:
        """Return which answers were in the realised table."""
        marks = self.answers[IN_REALISED].to_numpy()
        return Recorded(self.header.realised, np.asarray(marks, dtype=np.bool_))

    def keep(self, path: Path, realised: Recorded, windows: Mapping[str, str]) -> None:
        """Keep it for the next look, with what is in the realised table now and what each window was measured from."""
        header = msgspec.structs.replace(self.header, realised=realised.batch, windows=dict(windows))
        answers = _with(self.answers, IN_REALISED, pa.array(realised.answers))
        sink = pa.BufferOutputStream()
        for table in (self.labels.replace_schema_metadata({_HEADER: msgspec.json.encode(header)}), answers):
            with pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table)
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, sink.getvalue())


def look_path(platform: Platform, ref: ModelRef) -> Path:
    """Return where a model's last look is kept."""
    return platform.home / "quality" / f"{ref.dotted}.arrow"


def look(platform: Platform, team: Team, model: Model) -> Look:
    """Join all answers with all labels, from what the last look kept and what is new.

    Raises:
        NotFound: nothing has arrived that could be a label.
    """
    reader = _Reader(platform, team, model)
    last = _last(look_path(platform, reader.ref))
    if last is not None and reader.may_go_on(last):
        try:
            return reader.newer(last)
        except NotFound:
            pass  # what was added since is not known any more, or rows went
    return reader.everything()


def _last(path: Path) -> Look | None:
    try:
        source = pa.memory_map(str(path))  # closed with the last column that lies in it
        labels, answers = (pa.ipc.open_stream(source).read_all() for _ in range(2))
        header = msgspec.json.decode(labels.schema.metadata[_HEADER], type=Header)
    except (OSError, KeyError, TypeError, pa.ArrowException, msgspec.MsgspecError):
        return None  # there is none, or another release wrote it
    return Look(labels.replace_schema_metadata(None), answers, header)


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
        grown = len(last.labels) >= 2 * header.everything_rows
        return fresh and not grown and header.by_entity and header.rules == self._rules

    def everything(self) -> Look:
        """Read all that there is.

        Raises:
            NotFound: nothing has arrived that could be a label.
        """
        raw, began = self.platform.lake.version(self._raw), time.time()
        if raw is None:
            self.platform.lake.read(self._raw)  # says what is missing
        labels, by_entity = self._labels(raw or 0).every()
        tables = {table: self._rows(table) for table in self._versions}
        header = Header(
            rules=self._rules,
            everything_at=began,
            everything_rows=len(labels),
            by_entity=by_entity,
            raw=raw or 0,
            answers=self._versions,
            oldest={table: _oldest(rows) for table, rows in tables.items()},
            repeats=0,
        )
        answers = self._joinable(list(tables.values()))
        return self._numbered(Look(self._keyed(labels), answers, header), None, 0)

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
        answers = _merged(last.answers, self._joinable(list(added.values()))) if added else last.answers
        touched = self._first(answers.filter(answers[EXAMPLE].is_null()))
        labels = last.labels
        if raw != before.raw:
            new = self._labels(raw).newer(before.raw)
            touched = pa.concat_arrays([touched, new.entities]).unique()
            others = labels.filter(pc.invert(pc.is_in(self._first(labels), value_set=new.entities)))
            labels = _together(others, self._keyed(new.rows))
        gone = self._repeats(last.labels, pc.is_in(self._first(last.labels), value_set=touched))
        return self._numbered(Look(labels, answers, header), touched, gone)

    def _numbered(self, joined: Look, touched: pa.Array | None, gone: int) -> Look:
        """Number the examples of some entities (None: of all), and keep the numbers of the others."""
        tables = joined.labels, joined.answers
        marks = [
            pa.array(np.ones(len(table), np.bool_))
            if touched is None
            else pc.is_in(self._first(table), value_set=touched)
            for table in tables
        ]
        again = joined.header.repeats - gone + self._repeats(joined.labels, marks[0])
        if touched is not None and (again > 0) != (joined.header.repeats > 0):
            return self._numbered(replace(joined, header=msgspec.structs.replace(joined.header, repeats=0)), None, 0)
        chosen = (table.filter(mark) for table, mark in zip(tables, marks, strict=True))
        columns = numbered_examples(*(Keyed(_texts(rows, self._keys), rows) for rows in chosen), timed=again > 0)
        ours = [np.asarray(mark.to_numpy(zero_copy_only=False), np.bool_) for mark in marks]
        numbers = [_numbers(table) for table in tables]
        first = 1 + max(int(known[~own].max(initial=-1)) for known, own in zip(numbers, ours, strict=True))
        for known, own, new in zip(numbers, ours, columns, strict=True):
            known[own] = new + first
        if first > SPARSE * sum(map(len, numbers)):
            dense = numbered([pa.array(np.concatenate(numbers))], sum(map(len, numbers)))
            numbers = [dense[: len(numbers[0])], dense[len(numbers[0]) :]]
        labels, answers = (_with(table, EXAMPLE, pa.array(n)) for table, n in zip(tables, numbers, strict=True))
        return Look(labels, answers, msgspec.structs.replace(joined.header, repeats=again))

    def _repeats(self, labels: pa.Table, mark: pa.Array) -> int:
        rows = labels.filter(mark)
        return repeats(numbered(_texts(rows, self._keys), len(rows)))

    def _first(self, table: pa.Table) -> pa.Array:
        """Return the first entity of labels, or of answers, as text."""
        return _texts(table, self._keys[:1])[0]

    def _keyed(self, labels: pa.Table) -> pa.Table:
        """Give labels their entities as text, as answers have them."""
        for name, key in zip(self._keys, texts(labels, self.model.labels.entities), strict=True):
            labels = labels.append_column(name, key)
        return _unnumbered(labels)

    def _labels(self, version: int) -> LabelRows:
        return LabelRows(self.platform, self.team, self.model, version)

    def _rows(self, table: str, than: int | None = None) -> pa.Table:
        """Read rows of a table of answers, those that were added after a version or all."""
        columns = [*READ, DATE]
        return self.platform.lake.read(table, version=self._versions[table], columns=columns, newer_than=than)

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
        for name, key in zip(self._keys, keys, strict=True):
            rows = rows.append_column(name, key)
        return _unnumbered(rows).append_column(IN_REALISED, pa.array(np.zeros(len(rows), np.bool_)))

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
        said = [labels.name, labels.entities, labels.time, labels.label, labels.known_at, labels.segments]
        hidden = personal.pseudonyms().of("secret", "which") if persons else ""
        place, key = self.platform.lake.place(self._raw), key_of(self.team, labels.source)
        parts = [said, sources(labels.compute), persons, hidden, key, self._raw, place, release("loopline"), FORM]
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def _oldest(rows: pa.Table) -> tuple[date, int]:
    if not len(rows):
        return date.max, 0
    day = pc.min(rows[DATE])
    return day.as_py(), len(rows.filter(pc.equal(rows[DATE], day)))


def _merged(answers: pa.Table, added: pa.Table) -> pa.Table:
    """Add answers at the end where they belong there, else sort all anew."""
    both_parts = _together(answers, added)
    if not len(answers) or not len(added):
        return both_parts
    last, first = (tuple(rows[name][place].as_py() for name in ORDER) for rows, place in ((answers, -1), (added, 0)))
    return both_parts if last <= first else both_parts.sort_by([(name, "ascending") for name in ORDER]).combine_chunks()


def _together(one: pa.Table, other: pa.Table) -> pa.Table:
    """Put rows below one another; raises NotFound where their columns differ."""
    if not one.schema.equals(other.schema):
        raise NotFound("columns are others than at the last look", "read everything")
    return pa.concat_tables([one, other]).combine_chunks()


def _unnumbered(rows: pa.Table) -> pa.Table:
    return rows.append_column(EXAMPLE, pa.nulls(len(rows), pa.int64()))


def _with(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)


def _numbers(table: pa.Table) -> Places:
    """Return the numbers of examples, -1 where there is none yet."""
    return np.array(table[EXAMPLE].fill_null(-1).to_numpy(), dtype=np.int64)


def _texts(table: pa.Table, columns: Sequence[str]) -> list[pa.Array]:
    return [table[name].combine_chunks() for name in columns]
