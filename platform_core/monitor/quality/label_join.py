"""Label join: matches answers with their labels, of all rows or only of entities that changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loopline.platform_core.errors import NotFound
from loopline.platform_core.foundation.names import EVENT_TIME
from loopline.platform_core.foundation.number_lists import to_array
from loopline.platform_core.monitor.quality.labelled import (
    Keyed,
    Places,
    both,
    instants,
    numbered,
    numbered_examples,
    repeats,
)
from loopline.platform_core.monitor.quality.outcomes import ORDER
from loopline.platform_core.monitor.quality.snapshot_cache import Look, taken

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loopline.platform_core.monitor.quality.label_rows import NewLabels
    from loopline.platform_core.monitor.quality.snapshot_cache import Header

    Flags = NDArray[np.bool_]


def joined(keys: Sequence[str], labels: pa.Table, answers: pa.Table, marks: Flags, header: Header) -> Look:
    """Number all examples anew; ``keys`` are the columns of entities as text, ``marks`` are of the answers."""
    again = _repeats(labels, keys)
    label_numbers, answer_numbers = numbered_examples(_keyed(labels, keys), _keyed(answers, keys), timed=again > 0)
    examples = 1 + max(int(numbers.max(initial=-1)) for numbers in (label_numbers, answer_numbers))
    header = msgspec.structs.replace(header, repeats=again, examples=examples)
    return Look(labels, answers, label_numbers, answer_numbers, np.zeros(0, np.int64), marks, header)


def grown(keys: Sequence[str], last: Look, header: Header, fresh: pa.Table, new: NewLabels) -> Look:
    """Add fresh answers, and let all labels within a reach be the new ones; those that are as they were stay.

    Raises:
        NotFound: columns are others than at the last look.
    """
    _demand_alike((last.labels, new.rows), (last.answers, fresh))
    touched = pa.concat_arrays([_first(fresh, keys), new.entities]).unique()
    places = np.setdiff1d(_places(last.labels, keys, touched), last.gone, assume_unique=True)
    ours = taken(last.labels.select([*keys, EVENT_TIME]), places)
    renewed = new.stand_for(_first(ours, keys), ours)
    again = header.repeats + _more_repeats(ours, renewed, new.rows, keys)
    header = msgspec.structs.replace(header, repeats=again)
    if (again > 0) != (last.header.repeats > 0):  # event times tell examples apart from now on, or no more
        return _joined_anew(keys, last, header, fresh, (places[renewed], new.rows))
    asked = _places(last.answers, keys, touched)
    if again > 0:  # then rows of other times than the new ones are of other examples
        near = renewed | _within(ours, (new.rows, fresh))
        places, renewed = places[near], renewed[near]
        asked = asked[_within(taken(last.answers.select([EVENT_TIME]), asked), (new.rows, fresh))]
    ours = taken(last.labels, places)
    old, others = ours.filter(pa.array(renewed)), ours.filter(pa.array(~renewed))
    codes, answer_codes = numbered_examples(
        _keyed(pa.concat_tables([others, old, new.rows]), keys),
        _keyed(pa.concat_tables([taken(last.answers, asked), fresh]), keys),
        timed=again > 0,
    )
    known = np.concatenate([places[~renewed], places[renewed]])
    number_of, examples = _numbers(
        (codes, last.label_numbers[known]), (answer_codes, last.answer_numbers[asked]), header.examples
    )
    before, now = codes[len(others) : len(known)], codes[len(known) :]
    stays, is_there = _unchanged((old, before), (new.rows, now))
    replaced = int((~stays).sum() + np.isin(now[~is_there], codes[: len(known)]).sum())
    added = new.rows.filter(pa.array(~is_there))
    look = _with_labels(last, places[renewed][~stays], added, number_of[now[~is_there]])
    header = msgspec.structs.replace(header, examples=examples, replaced=header.replaced + replaced)
    return _with_answers(look, fresh, number_of[answer_codes[len(asked) :]], header)


def _joined_anew(
    keys: Sequence[str], last: Look, header: Header, fresh: pa.Table, labels: tuple[Places, pa.Table]
) -> Look:
    """Join all rows, with other ``labels`` in the place of some."""
    replaced, rows = labels
    left = np.delete(np.arange(len(last.labels)), np.append(last.gone, replaced))
    answers, order = _in_order(last.answers, fresh)
    marks = np.append(last.marks, np.zeros(len(fresh), np.bool_))
    rows = pa.concat_tables([taken(last.labels, left), rows]).combine_chunks()
    header = msgspec.structs.replace(header, lives={})  # an example may be another than before
    return joined(keys, rows, answers, marks if order is None else marks[order], header)


def _numbers(labels: tuple[Places, Places], answers: tuple[Places, Places], first: int) -> tuple[Places, int]:
    """Return the number of each code's example, and the first that none has.

    Of labels and of answers come the codes of all, and the numbers of those at their beginning that have one already.
    """
    number_of = np.full(1 + max(int(codes.max(initial=-1)) for codes, _ in (labels, answers)), -1)
    for codes, known in (labels, answers):
        number_of[codes[: len(known)]] = known
    unknown = np.flatnonzero(number_of < 0)
    number_of[unknown] = first + np.arange(len(unknown))
    return number_of, first + len(unknown)


def _unchanged(old: tuple[pa.Table, Places], new: tuple[pa.Table, Places]) -> tuple[Flags, Flags]:
    """Mark the rows of each side that say the same on the other; rows come with the numbers of their examples.

    Of an example with several rows the last counts, so that all of them are taken to be others.
    """
    (rows, numbers), (new_rows, new_numbers) = old, new
    size = 1 + max(numbers.max(initial=-1), new_numbers.max(initial=-1))
    alone = (np.bincount(numbers, minlength=size) == 1) & (np.bincount(new_numbers, minlength=size) == 1)
    place = np.full(size, -1)
    place[numbers] = np.arange(len(numbers))
    there = np.flatnonzero(alone[new_numbers])
    here = place[new_numbers[there]]
    same = _equal(rows.take(pa.array(here)), new_rows.take(pa.array(there)))
    stays, is_there = np.zeros(len(rows), np.bool_), np.zeros(len(new_rows), np.bool_)
    stays[here[same]], is_there[there[same]] = True, True
    return stays, is_there


def _equal(rows: pa.Table, others: pa.Table) -> Flags:
    """Compare row by row; two nulls are equal, and so are two NaN."""
    same = np.ones(len(rows), np.bool_)
    for one, other in zip(rows.columns, others.columns, strict=True):
        if pa.types.is_list(one.type):  # Arrow compares none; these are all of one length
            mine, theirs = (to_array(side) for side in (one, other))
            same &= np.asarray(((mine == theirs) | (np.isnan(mine) & np.isnan(theirs))).all(axis=1))
            continue
        alike = pc.or_(pc.fill_null(pc.equal(one, other), fill_value=False), pc.and_(one.is_null(), other.is_null()))
        if pa.types.is_floating(one.type):
            alike = pc.or_(alike, pc.fill_null(pc.and_(pc.is_nan(one), pc.is_nan(other)), fill_value=False))
        same &= np.asarray(alike)
    return same


def _with_labels(last: Look, gone: Places, added: pa.Table, numbers: Places) -> Look:
    """Let some labels count no more, and add others; rows that are not in the file of rows go at once."""
    size = last.base.labels if last.base else 0
    left = np.delete(np.arange(size, len(last.labels)), gone[gone >= size] - size)
    rows = pa.concat_tables([last.labels.slice(0, size), taken(last.labels, left), added])
    known = np.concatenate([last.label_numbers[:size], last.label_numbers[left], numbers])
    no_more = np.union1d(last.gone, gone[gone < size])
    return Look(rows, last.answers, known, last.answer_numbers, no_more, last.marks, last.header, last.base)


def _with_answers(look: Look, fresh: pa.Table, numbers: Places, header: Header) -> Look:
    """Add answers; where they do not belong at the end, the file of rows has another order and is none any more."""
    answers, order = _in_order(look.answers, fresh)
    known = np.append(look.answer_numbers, numbers)
    marks = np.append(look.marks, np.zeros(len(fresh), np.bool_))
    if order is None:
        return Look(look.labels, answers, look.label_numbers, known, look.gone, marks, header, look.base)
    return Look(look.labels, answers, look.label_numbers, known[order], look.gone, marks[order], header)


def _in_order(answers: pa.Table, fresh: pa.Table) -> tuple[pa.Table, Places | None]:
    """Put answers below one another, and sort them where they are not in order then; say how."""
    both = pa.concat_tables([answers, fresh])
    if not len(answers) or not len(fresh):
        return both, None
    last, first = (tuple(rows[name][place].as_py() for name in ORDER) for rows, place in ((answers, -1), (fresh, 0)))
    if last <= first:
        return both, None
    order = pc.sort_indices(both, sort_keys=[(name, "ascending") for name in ORDER])
    return both.take(order).combine_chunks(), order.to_numpy().astype(np.int64)


def _demand_alike(*pairs: tuple[pa.Table, pa.Table]) -> None:
    if not all(one.schema.equals(other.schema) for one, other in pairs):
        raise NotFound("columns are others than at the last look", "read everything")


def _more_repeats(ours: pa.Table, renewed: Flags, rows: pa.Table, keys: Sequence[str]) -> int:
    """Count by how many more rows their entities come again when ``rows`` stand for some of ours."""
    numbers = numbered(list(map(both, _texts(ours, keys), _texts(rows, keys))), len(ours) + len(rows))
    return repeats(numbers[~np.append(renewed, np.zeros(len(rows), np.bool_))]) - repeats(numbers[: len(ours)])


def _within(rows: pa.Table, others: Sequence[pa.Table]) -> Flags:
    """Mark the rows whose event lies between the first and the last of others."""
    times, bounds = instants(rows).to_numpy(), np.concatenate([instants(part).to_numpy() for part in others])
    if not len(bounds):
        return np.zeros(len(rows), np.bool_)
    return np.asarray((times >= bounds.min()) & (times <= bounds.max()))


def _repeats(labels: pa.Table, keys: Sequence[str]) -> int:
    return repeats(numbered(_texts(labels, keys), len(labels)))


def _keyed(rows: pa.Table, keys: Sequence[str]) -> Keyed:
    return Keyed(_texts(rows, keys), rows)


def _texts(rows: pa.Table, keys: Sequence[str]) -> list[pa.Array]:
    return [rows[name].combine_chunks() for name in keys]


def _first(rows: pa.Table, keys: Sequence[str]) -> pa.Array:
    """Return the first entity of labels, or of answers, as text."""
    return rows[keys[0]].combine_chunks()


def _places(rows: pa.Table, keys: Sequence[str], entities: pa.Array) -> Places:
    """Return the places of the rows of some entities, rising."""
    return np.flatnonzero(_marked(rows[keys[0]], entities))


def _marked(entities: pa.Array | pa.ChunkedArray, among: pa.Array) -> Flags:
    return np.asarray(pc.is_in(entities, value_set=among), dtype=np.bool_)
