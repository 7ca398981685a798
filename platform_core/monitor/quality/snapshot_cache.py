"""Cache of a quality snapshot for the next one: a large file of rows, and a small one of changes since.

The small file, the head, names the file of rows. It is replaced whole, so whoever dies between the two leaves the look
of before. Rows are written anew when what has changed is more than about the square root of them: then neither costs
more than the other. Both are files beside the packages on which nothing rests: without them everything is read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from loopline.platform_core.foundation import files
from loopline.platform_core.monitor.quality.labelled import LabelBook, Places, matched
from loopline.platform_core.monitor.quality.outcomes import Answered
from loopline.platform_core.monitor.quality.realised import Recorded
from loopline.platform_core.monitor.quality.version_quality import Life

ROWS_A_LOOK = 200
"""Changed rows squared, for each row there is, from which on all are written anew."""
EXAMPLE, IN_REALISED = "_example", "_in_realised"
_HEADER = b"loopline.look"


class Header(msgspec.Struct, frozen=True):
    """How far a look read, and what it found out.

    ``by_entity`` and ``within_reach`` say that labels were found to rest on raw rows of their entity alone, and within
    their reach alone. ``answers`` are versions of tables; ``oldest`` the first day of each and how many rows it has;
    ``repeats`` counts label rows beyond the first of their entities; ``examples`` is the first number that no example
    ever had; ``windows`` says what each window was measured from, ``lives`` what was measured of each version's whole
    life; ``replaced`` counts labels that took the place of others since everything was read.
    """

    rules: str
    everything_at: float
    everything_rows: int
    by_entity: bool
    raw: int
    answers: dict[str, int]
    oldest: dict[str, tuple[date, int]]
    repeats: int
    examples: int
    realised: int = 0
    windows: dict[str, str] = {}
    lives: dict[str, Life] = {}
    replaced: int = 0
    within_reach: bool = False


class _Head(msgspec.Struct, frozen=True):
    """What the head says beside its rows: of those in the file of rows which labels went, and which answers came in."""

    header: Header
    rows: str
    labels: int
    answers: int
    gone: list[int]
    marked: list[int]


class Base(NamedTuple):
    """A file of rows: its name, its label rows, and for each of its answers whether the realised table has it."""

    name: str
    labels: int
    marks: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Look:
    """Labels, and answers in ``ORDER``, both with their entities as text; and the number of each one's example.

    Labels at the places ``gone`` (rising) do not count any more. ``marks`` tells which answers the realised table has.
    ``base`` is the file in which the first rows of both lie as they are here; None where there is none.
    """

    labels: pa.Table
    answers: pa.Table
    label_numbers: Places
    answer_numbers: Places
    gone: Places
    marks: NDArray[np.bool_]
    header: Header
    base: Base | None = None

    @property
    def standing(self) -> int:
        """Count the labels that count."""
        return len(self.labels) - len(self.gone)

    @cached_property
    def book(self) -> LabelBook:
        """Return the labels."""
        return LabelBook(self.labels, self.gone)

    @cached_property
    def answered(self) -> Answered:
        """Return the answers beside their labels."""
        return Answered(self.answers, matched(self.label_numbers, self.answer_numbers, self.gone))

    @property
    def realised(self) -> Recorded:
        """Return which answers were in the realised table."""
        return Recorded(self.header.realised, self.marks)

    def keep(self, path: Path, realised: Recorded, windows: Mapping[str, str], lives: Mapping[str, Life]) -> None:
        """Keep it for the next look, with what is in the realised table now and what was measured."""
        measured = {"windows": dict(windows), "lives": dict(lives)}
        header = msgspec.structs.replace(self.header, realised=realised.batch, **measured)
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.base is None or self._is_much(self.base, realised):
            self._keep_all(path, realised, header)
        else:
            self._keep_changes(path, realised, header, self.base)

    def _keep_all(self, path: Path, realised: Recorded, header: Header) -> None:
        """Write a file of all rows, then a head that names it; files of before go last."""
        name = f"{path.stem}.{uuid4().hex}.rows"
        labels = self._labels(np.delete(np.arange(len(self.labels)), self.gone))
        answers = self._answers(realised, 0)
        _write(path.with_name(name), labels, answers)
        head = _Head(header, name, len(labels), len(answers), [], [])
        _write(path, labels.slice(0, 0), answers.slice(0, 0), head)
        _forget_others(path, name)

    def _keep_changes(self, path: Path, realised: Recorded, header: Header, base: Base) -> None:
        """Write a head with what the file of rows does not say."""
        size = len(base.marks)
        marked = np.flatnonzero(realised.answers[:size] & ~base.marks)
        head = _Head(header, base.name, base.labels, size, self.gone.tolist(), marked.tolist())
        added = self._labels(np.arange(base.labels, len(self.labels)))
        _write(path, added, self._answers(realised, size), head)

    def _is_much(self, base: Base, realised: Recorded) -> bool:
        """Say if so much differs from a file of rows that another is due; or it tells of another realised table."""
        size = base.labels + len(base.marks)
        marks = realised.answers[: len(base.marks)]
        changed = len(self.labels) + len(self.answers) - size + len(self.gone) + int((marks & ~base.marks).sum())
        return bool((base.marks & ~marks).any()) or changed**2 > ROWS_A_LOOK * size

    def _labels(self, places: Places) -> pa.Table:
        return taken(self.labels, places).append_column(EXAMPLE, pa.array(self.label_numbers[places]))

    def _answers(self, realised: Recorded, first: int) -> pa.Table:
        rows = self.answers.slice(first).append_column(EXAMPLE, pa.array(self.answer_numbers[first:]))
        return rows.append_column(IN_REALISED, pa.array(realised.answers[first:]))


def last_look(path: Path) -> Look | None:
    """Return what was kept last; None where there is nothing, half of it, or what another release wrote."""
    try:
        *added, said = _read(path)
        head = msgspec.json.decode(said, type=_Head)
        *base, _ = _read(path.with_name(head.rows))
        return _look(base, added, head) if list(map(len, base)) == [head.labels, head.answers] else None
    except (OSError, KeyError, TypeError, IndexError, pa.ArrowException, msgspec.MsgspecError):
        return None


def taken(rows: pa.Table, places: Places) -> pa.Table:
    """Take rows at rising places, a chunk at a time: of several chunks Arrow would first make one, of all rows."""
    parts, first = [], 0
    for chunk in rows.to_batches():
        low, high = np.searchsorted(places, [first, first + len(chunk)])
        parts.append(chunk.take(pa.array(places[low:high] - first)))
        first += len(chunk)
    return pa.Table.from_batches(parts, rows.schema)


def _look(base: Sequence[pa.Table], added: Sequence[pa.Table], head: _Head) -> Look:
    """Put what was added to a file of rows below it."""
    labels, answers = (pa.concat_tables(pair) for pair in zip(base, added, strict=True))
    marks = np.array(answers[IN_REALISED].to_numpy(), np.bool_)
    before = marks[: head.answers].copy()
    marks[head.marked] = True
    return Look(
        labels=labels.drop_columns([EXAMPLE]),
        answers=answers.drop_columns([EXAMPLE, IN_REALISED]),
        label_numbers=np.asarray(labels[EXAMPLE].to_numpy(), np.int64),
        answer_numbers=np.asarray(answers[EXAMPLE].to_numpy(), np.int64),
        gone=np.array(head.gone, np.int64),
        marks=marks,
        header=head.header,
        base=Base(head.rows, head.labels, before),
    )


def _read(path: Path) -> tuple[pa.Table, pa.Table, bytes]:
    """Read labels and answers, and what is said beside them; it is closed with the last column that lies in it."""
    source = pa.memory_map(str(path))
    labels, answers = (pa.ipc.open_stream(source).read_all() for _ in range(2))
    said = (labels.schema.metadata or {}).get(_HEADER, b"")
    return labels.replace_schema_metadata(None), answers.replace_schema_metadata(None), said


def _write(path: Path, labels: pa.Table, answers: pa.Table, head: _Head | None = None) -> None:
    if head is not None:
        labels = labels.replace_schema_metadata({_HEADER: msgspec.json.encode(head)})
    sink = pa.BufferOutputStream()
    for table in (labels, answers):
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table.combine_chunks())
    files.write(path, sink.getvalue())


def _forget_others(path: Path, name: str) -> None:
    """Remove a model's other files of rows: those of before, and those of looks that died before they had a head."""
    own = re.compile(re.escape(path.stem) + r"\.[0-9a-f]{32}\.rows")
    for file in path.parent.iterdir():
        if file.name != name and own.fullmatch(file.name):
            file.unlink(missing_ok=True)
