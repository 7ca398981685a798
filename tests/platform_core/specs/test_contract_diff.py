"""A change of a contract is told with the party for whom it breaks something."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.specs.contracts.contract_diff import Change, diff
from loopline.platform_core.specs.contracts.contract_file import Column, RowContract, Rule
from loopline.resources.polars.engine import PolarsEngine
from tests.repeats import repeats

CONSUMER, PRODUCER = ("consumer-breaking",), ("producer-breaking",)
BOTH, ADDITIVE = (*CONSUMER, *PRODUCER), ("additive",)
TEXT, WHOLE, NUMBER = Column("c", "C", "string"), Column("c", "C", "integer"), Column("c", "C", "number")
INSTANT = Column("c", "C", "timestamp")


def contract(*columns: Column, rules: tuple[Rule, ...] = (), version: str = "1.0.0") -> RowContract:
    """Make a contract; required columns get their rule."""
    required = tuple(Rule(f"{c.name}.required", c.name, "required") for c in columns if c.required)
    return RowContract("rows", version, columns, (*required, *rules), Path("rows.yaml"))


def rule(kind: str, *arguments: Any) -> Rule:
    """Make a rule on the column."""
    return Rule(f"c.{kind}", "c", kind, arguments)


def changes(old: RowContract, new: RowContract) -> list[tuple[str, str, tuple[str, ...]]]:
    """Compare two contracts."""
    return [(change.column, change.kind, change.classes) for change in diff(old, new).changes]


def test_columns_come_go_and_change_type() -> None:
    """An optional column is additive, a required one asks of producers, a dropped one takes from consumers."""
    base = contract(WHOLE)
    for column, new, expected in (
        ("d", contract(WHOLE, Column("d", "d", "string")), [("d", "added", ADDITIVE)]),
        ("d", contract(WHOLE, Column("d", "d", "string", required=True)), [("d", "added", PRODUCER)]),
        ("c", contract(), [("c", "dropped", CONSUMER)]),
        ("c", contract(NUMBER), [("c", "retyped", BOTH)]),
    ):
        assert changes(base, new) == expected, column


def test_a_rename_is_a_drop_and_an_addition() -> None:
    """Under another name here, producers send what they sent; unless more is asked of it than before."""
    old = contract(replace(TEXT, required=True))
    renamed = replace(TEXT, name="d", required=True)
    assert changes(old, contract(renamed)) == [("c", "dropped", CONSUMER), ("d", "added", ADDITIVE)]
    tighter = Rule("d.max_length", "d", "max_length", (3,))
    assert changes(old, contract(renamed, rules=(tighter,)))[1] == ("d", "added", PRODUCER)
    assert changes(contract(TEXT), contract(renamed))[1] == ("d", "added", PRODUCER)
    other_file_name = contract(replace(renamed, physical_name="D"))
    assert changes(old, other_file_name) == [("c", "dropped", CONSUMER), ("d", "added", PRODUCER)]


def test_what_is_sent_otherwise_breaks_producers_only() -> None:
    """Consumers see neither the name in the file nor how a time is written."""
    assert changes(contract(TEXT), contract(replace(TEXT, physical_name="D"))) == [("c", "resent", PRODUCER)]
    found = diff(contract(INSTANT), contract(replace(INSTANT, format="%Y"))).changes
    assert found == (Change("c", "resent", "format ISO 8601 → %Y", ("producers",)),)


def test_required_and_optional() -> None:
    """Once values may be missing, consumers meet nulls; once they may not, producers must fill them."""
    needed = contract(replace(TEXT, required=True))
    assert changes(needed, contract(TEXT)) == [("c", "widened", CONSUMER)]
    assert changes(contract(TEXT), needed) == [("c", "tightened", PRODUCER)]


LESS_TO_MORE = [
    (NUMBER, rule("minimum", 0), rule("minimum", 1)),
    (NUMBER, rule("minimum", 1), rule("exclusive_minimum", 1)),
    (NUMBER, rule("maximum", 5), rule("maximum", 4)),
    (NUMBER, rule("maximum", 4), rule("exclusive_maximum", 4)),
    (WHOLE, rule("exclusive_minimum", 0), rule("minimum", 2)),
    (TEXT, rule("min_length", 1), rule("min_length", 2)),
    (TEXT, rule("max_length", 9), rule("max_length", 8)),
    (TEXT, rule("one_of", "a", "b"), rule("one_of", "b")),
]


@pytest.mark.parametrize(("column", "loose", "tight"), LESS_TO_MORE)
def test_every_scale_in_both_directions(column: Column, loose: Rule, tight: Rule) -> None:
    """Tightening breaks producers and widening consumers; no rule at all is the widest."""
    none, less, more = contract(column), contract(column, rules=(loose,)), contract(column, rules=(tight,))
    for one, other in ((none, less), (less, more), (none, more)):
        assert changes(one, other) == [("c", "tightened", PRODUCER)]
        assert changes(other, one) == [("c", "widened", CONSUMER)]


def test_the_same_said_otherwise_is_no_change() -> None:
    """Above 0 is from 1 on for whole numbers, no text is shorter than 0, and values have no order."""
    for column, one, other in (
        (WHOLE, rule("exclusive_minimum", 0), rule("minimum", 1)),
        (WHOLE, rule("exclusive_maximum", 0.5), rule("maximum", 0)),
        (TEXT, rule("one_of", "a", "b"), rule("one_of", "b", "a")),
    ):
        assert changes(contract(column, rules=(one,)), contract(column, rules=(other,))) == []
    assert changes(contract(TEXT), contract(TEXT, rules=(rule("min_length", 0),))) == []
    assert changes(contract(NUMBER, rules=(rule("minimum", 1),)), contract(NUMBER, rules=(rule("minimum", 1.0),))) == []


def test_unique_patterns_and_exchanged_values() -> None:
    """A changed pattern and exchanged values may refuse and accept: they count as both."""
    held = contract(TEXT, rules=(rule("unique"),))
    assert changes(contract(TEXT), held) == [("c", "tightened", PRODUCER)]
    assert changes(held, contract(TEXT)) == [("c", "widened", CONSUMER)]
    digits, letters = (
        contract(TEXT, rules=(rule("pattern", "[0-9]"),)),
        contract(TEXT, rules=(rule("pattern", "[a-z]"),)),
    )
    assert changes(contract(TEXT), digits) == [("c", "tightened", PRODUCER)]
    assert changes(digits, contract(TEXT)) == [("c", "widened", CONSUMER)]
    assert changes(digits, letters) == [("c", "replaced", BOTH)]
    assert "cannot be ordered" in diff(digits, letters).changes[0].what
    old, new = contract(TEXT, rules=(rule("one_of", "a", "b"),)), contract(TEXT, rules=(rule("one_of", "b", "c"),))
    assert diff(old, new).changes[0].what == "values without 'a', also 'c'"
    assert changes(old, new) == [("c", "replaced", BOTH)]


def test_a_breaking_change_needs_a_new_major_version() -> None:
    """A minor version is enough for what is additive only."""
    old, wider = contract(WHOLE, version="1.9.0"), Column("d", "d", "string")
    assert diff(old, contract(WHOLE, wider, version="1.10.0")).allowed
    assert not diff(old, contract(version="1.10.0")).allowed
    assert diff(old, contract(version="2.0.0")).allowed
    assert diff(replace(old, version="9.0.0"), contract(version="10.0.0")).major
    with pytest.raises(InvalidSpec, match=r"rows.yaml.*'first'"):
        diff(old, contract(version="first"))


VALUES = [None, -2, -1, 0, 1, 2, 3, 4, 4]
"""Rows on which contracts are held against each other; the last one stands twice."""
DRAWN = {
    "required": st.booleans(),
    "unique": st.booleans(),
    "one_of": st.none() | st.frozensets(st.sampled_from(VALUES[1:]), min_size=1),
    **dict.fromkeys(
        ("minimum", "exclusive_minimum", "maximum", "exclusive_maximum"),
        st.none() | st.sampled_from([-1, -0.5, 0, 0.5, 1, 2, 3]),
    ),
}


def drawn(asked: dict[str, Any]) -> RowContract:
    """Make a contract on one whole number."""
    rules = [rule(kind, asked[kind]) for kind in asked if kind.endswith("imum") and asked[kind] is not None]
    rules += [rule("one_of", *sorted(asked["one_of"]))] if asked["one_of"] else []
    rules += [rule("unique")] if asked["unique"] else []
    return contract(replace(WHOLE, required=asked["required"]), rules=tuple(rules))


def kept(held: RowContract) -> set[int]:
    """Return which of the values keep a contract."""
    texts = pa.array([None if value is None else str(value) for value in VALUES], pa.string())
    rows = pa.table({"C": texts, "_line": pa.array(range(len(VALUES)), pa.int64())})
    return set(PolarsEngine().check_rows(rows, held).good["_line"].to_pylist())


@pytest.mark.parametrize("changed", sorted(DRAWN))
@settings(max_examples=repeats(12), deadline=None)
@given(asked=st.fixed_dictionaries(DRAWN), other=st.fixed_dictionaries(DRAWN))
def test_what_is_said_not_to_break_does_not(changed: str, asked: dict[str, Any], other: dict[str, Any]) -> None:
    """After one change rows are newly refused, or accepted, only where a party is named that this breaks."""
    old, new = drawn(asked), drawn({**asked, changed: other[changed]})
    broken = {party for change in diff(old, new).changes for party in change.breaks}
    if "producers" not in broken:
        assert kept(old) <= kept(new)
    if "consumers" not in broken:
        assert kept(new) <= kept(old)
