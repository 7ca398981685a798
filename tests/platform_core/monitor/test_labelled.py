"""Answers find their labels by keys as text: the same ones whether joined a column at a time or row by row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline.platform_core.foundation.names import EVENT_TIME, KNOWN_AT, LABEL
from loopline.platform_core.monitor.quality.labelled import (
    PATIENT,
    SAMPLED,
    Examples,
    Keyed,
    LabelBook,
    answered_keys,
    coded,
    matched,
    numbered,
    numbered_examples,
    repeats,
    texts,
)
from loopline.platform_core.specs.contracts import personal
from loopline.platform_core.targets import Binary, Multiclass

ENTITIES = ("customer", "shop")
MOMENTS = [datetime(1969, 12, 31, 23, tzinfo=UTC) + timedelta(hours=hour) for hour in range(3)]
INSTANT = pa.timestamp("us", tz="UTC")
CUSTOMERS = st.sampled_from([1, 2, 10, None])
SHOPS = st.sampled_from(["1", "10", "", "None", "ä", None])
LABELLED = st.lists(st.tuples(CUSTOMERS, SHOPS, st.sampled_from(MOMENTS)), max_size=12)
LOGGED = st.fixed_dictionaries({}, optional={"customer": CUSTOMERS | st.sampled_from(["1", 1.0, True]), "shop": SHOPS})
ANSWERED = st.lists(st.tuples(LOGGED, st.sampled_from(MOMENTS)), max_size=12)


def labels_of(rows: Sequence[tuple[Any, Any, datetime]], persons: Sequence[str] = ()) -> pa.Table:
    """Make the labels of examples of two entities."""
    table = pa.table(
        {
            "customer": pa.array([row[0] for row in rows], pa.int64()),
            "shop": pa.array([row[1] for row in rows], pa.string()),
            EVENT_TIME: pa.array([row[2] for row in rows], INSTANT),
        }
    )
    return personal.hidden(table, persons)


def examples_of(labels: pa.Table, answered: pa.Table, persons: Sequence[str] = ()) -> Examples:
    """Match answers with labels; event times count where entities come more than once."""
    keys = texts(labels, ENTITIES)
    timed = repeats(numbered(keys, len(labels))) > 0
    answers = Keyed(answered_keys(answered, ENTITIES, persons), answered)
    return matched(*numbered_examples(Keyed(keys, labels), answers, timed=timed))


def answers_of(rows: Sequence[tuple[dict[str, Any], datetime]]) -> pa.Table:
    """Make answered rows as the log holds them."""
    keys = pa.array([json.dumps(keys) for keys, _ in rows], pa.string())
    return pa.table({"keys": keys, EVENT_TIME: pa.array([at for _, at in rows], INSTANT)})


@given(LABELLED, ANSWERED)
def test_it_finds_what_a_look_at_each_row_finds(
    told: list[tuple[Any, Any, datetime]], answered: list[tuple[dict[str, Any], datetime]]
) -> None:
    """The last of the labels of an example counts; event times count where entities come more than once."""
    entities = [(None if who is None else str(who), shop) for who, shop, _ in told]
    timed = len(set(entities)) < len(told)
    examples = [(*key, at if timed else None) for key, (_, _, at) in zip(entities, told, strict=True)]
    asked = [(str(k.get("customer")), str(k.get("shop")), at if timed else None) for k, at in answered]
    row_of = {example: row for row, example in enumerate(examples)}
    found = examples_of(labels_of(told), answers_of(answered))
    assert found.places.tolist() == [row_of.get(key, -1) for key in asked]
    alike = [[one == other for other in asked] for one in asked]
    assert alike == [[one == other for other in found.numbers] for one in found.numbers.tolist()]


def test_a_true_key_and_its_pseudonym_are_one_example(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log holds true keys of before the contract marked them."""
    monkeypatch.setenv(personal.VARIABLE, "0123456789abcdef0123456789abcdef")
    labels = labels_of([(1, "a", MOMENTS[0]), (2, "a", MOMENTS[0])], ["customer"])
    hidden = personal.pseudonyms().of("customer", 2)
    answered = answers_of([({"customer": key, "shop": "a"}, MOMENTS[0]) for key in (2, hidden, 3)])
    found = examples_of(labels, answered, ["customer"])
    assert found.places.tolist() == [1, 1, -1]
    assert found.numbers[0] == found.numbers[1] != found.numbers[2]


def test_many_columns_of_many_values_do_not_run_over() -> None:
    """Ten columns of a thousand values each have more combinations than an integer has room for."""
    column = pa.array(range(1_000))
    assert sorted(numbered([column] * 10, 1_000).tolist()) == list(range(1_000))
    assert numbered([], 2).tolist() == [0, 0]


def book_of(rows: Sequence[tuple[float, int]], gone: Sequence[int] = ()) -> LabelBook:
    """Make labels that were known some microseconds after their event."""
    at = pa.array([0] * len(rows), pa.int64()).cast(INSTANT)
    table = {LABEL: pa.array([label for label, _ in rows], pa.float64()), EVENT_TIME: at}
    known = pa.array([delay for _, delay in rows], pa.int64()).cast(INSTANT)
    return LabelBook(pa.table(table | {KNOWN_AT: known}), np.array(gone, np.int64))


DELAYS = st.sampled_from(["all alike", "two", "none alike", "falling"])


@given(DELAYS, st.sampled_from([1, 100, 101, SAMPLED, 3 * SAMPLED + 7]), st.integers(0, 5), st.integers(0, 100))
def test_the_wait_is_what_sorting_all_labels_gives(kind: str, size: int, without: int, seed: int) -> None:
    """However long the delays are, and however many are alike; labels that went do not count."""
    random = np.random.default_rng(seed)
    drawn = {
        "all alike": np.full(size, 7),
        "two": random.choice([3, 10**9], size, p=[0.985, 0.015]),
        "none alike": random.permutation(size) * 1_000,
        "falling": np.arange(size)[::-1],
    }[kind]
    positives = [(1.0, int(delay)) for delay in drawn]
    book = book_of(
        [*positives, (0.0, 1), (np.nan, 10**12), *[(1.0, 10**12)] * without], range(size + 2, size + 2 + without)
    )
    assert book.wait_us(Binary()) == max(1, int(np.quantile(drawn, PATIENT, method="higher")))


def test_without_labels_of_both_kinds_there_is_no_wait() -> None:
    """Those that went are none."""
    assert book_of([(1.0, 5), (0.0, 3)]).wait_us(Binary()) == 5
    assert book_of([(1.0, 5), (0.0, 3)], [1]).wait_us(Binary()) is None
    assert book_of([(1.0, 5)]).wait_us(Binary()) is None


def test_a_class_that_never_came_is_rare_once_there_are_many_labels() -> None:
    """Of few labels it may only be late; of many no window waits for it for ever, and it counts once it came."""
    target, often = Multiclass(("bag", "lamp", "toy")), [(0.0, 5), (1.0, 3)]
    assert book_of(often * 149).wait_us(target) is None
    assert book_of(often * 150).wait_us(target) == 5
    assert book_of([*often * 150, (2.0, 9)]).wait_us(target) == 9
    assert book_of([*often * 150, (2.0, 9)], [300]).wait_us(target) == 5
    assert book_of([(0.0, 5)] * 1_000).wait_us(Binary()) is None, "of two classes each is waited for"


def test_a_label_is_known_when_it_has_come_and_is_finite() -> None:
    """And of an example without a row nothing is, also where there are no rows at all."""
    book = book_of([(1.0, 5), (0.0, 3), (np.inf, 1), (np.nan, 1)])
    assert np.array_equal(book.known(np.array([0, 1, 2, 3, -1, 1]), 4), [np.nan, 0, np.nan, np.nan, np.nan, 0], True)
    assert np.isnan(book_of([]).known(np.array([-1, -1]), 4)).all()


@given(st.lists(st.integers(0, 4), min_size=1, max_size=8), st.data())
def test_an_example_finds_the_last_of_its_rows_that_is_left(labels: list[int], data: st.DataObject) -> None:
    """Rows that went are none, and give way to earlier ones."""
    gone = sorted(data.draw(st.sets(st.integers(0, len(labels) - 1))))
    left = {number: row for row, number in enumerate(labels) if row not in gone}
    found = matched(np.array(labels), np.arange(6), np.array(gone, np.int64))
    assert found.places.tolist() == [left.get(number, -1) for number in range(6)]


def test_a_part_of_a_coded_column_has_its_own_values_alone() -> None:
    """The dictionary of the whole tells of others; null is a value like others."""
    column = pa.array(["a", "b", None, "c", "b"]).dictionary_encode()
    for part, values in ((column, {"a", "b", "c", None}), (column.slice(3), {"b", "c"}), (column.slice(2, 1), {None})):
        found = coded(part)
        assert set(found.values) == values
        assert [found.values[code] for code in found.codes] == part.to_pylist()
