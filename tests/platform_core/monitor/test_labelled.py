"""Answers find their labels by keys as text: the same ones whether joined a column at a time or row by row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline.platform_core.foundation.names import EVENT_TIME
from loopline.platform_core.monitor.labelled import (
    Examples,
    Keyed,
    answered_keys,
    matched,
    numbered,
    numbered_examples,
    repeats,
    texts,
)
from loopline.platform_core.specs import personal

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
