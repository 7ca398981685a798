"""Which views, labels and models a change of a contract reaches, found by trying."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import narwhals as nw
import pytest

from loopline.platform_core.errors import TaskFailed
from loopline.platform_core.features.compute.reads import columns_read
from loopline.platform_core.features.registry.impact import impacts
from loopline.platform_core.specs import Model, Source, Team, feature_view, labels
from loopline.platform_core.specs.contracts.contract_diff import diff
from loopline.platform_core.specs.contracts.contract_file import Column, RowContract, Rule
from loopline.resources.polars.engine import PolarsEngine

ORDERS = Source("orders", "orders.yaml")
COLUMNS = (
    Column("customer", "customer", "integer", required=True),
    Column("at", "at", "timestamp", required=True),
    Column("price", "price", "number", required=True),
    Column("country", "country", "string"),
    Column("note", "note", "string"),
    Column("kept", "kept", "integer"),
)
CONTRACT = RowContract("orders", "1.0.0", COLUMNS, (Rule("country.one_of", "country", "one_of", ("DE",)),), Path("c"))
ENGINE = PolarsEngine()


@feature_view(ORDERS, entity="customer", time="at")
def spend(rows: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per order: what it cost."""
    return rows.select("customer", "at", nw.col("price") * 2)


@feature_view(ORDERS, entity="customer", time="at")
def place(rows: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per order: where it went."""
    return rows.select("customer", "at", nw.col("country").str.to_uppercase())


@feature_view(ORDERS, entity="customer", time="at", version=2)
def everything(rows: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per order: all that is there."""
    return rows


@labels(ORDERS, entities=("customer",), time="at", label="kept", known_at="at")
def stays(rows: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per order: was it kept."""
    return rows.select("customer", "at", "kept")


def team(*views: Any) -> Team:
    """Make a team of one model a view, all on the same labels."""
    models = tuple(Model(f"by_{v.name}", features=(v,), labels=stays, fit=lambda *_: None) for v in views)
    return Team("shop", "shop", models=models)


def reached(new: RowContract, *views: Any, old: RowContract = CONTRACT) -> dict[str, list[tuple[str, tuple[str, ...]]]]:
    """Return, per changed column, whom it reaches and which models learn from that."""
    found = impacts(ENGINE, team(*views), "orders", diff(old, new))
    return {change.column: [(i.name, i.models) for i in each] for change, each in found.items()}


def column(name: str, **changes: Any) -> RowContract:
    """Change one column of the contract."""
    return replace(CONTRACT, columns=tuple(replace(c, **changes) if c.name == name else c for c in COLUMNS))


def without(*names: str) -> RowContract:
    """Drop columns, and the rules on them."""
    rules = tuple(rule for rule in CONTRACT.rules if rule.column not in names)
    return replace(CONTRACT, columns=tuple(c for c in COLUMNS if c.name not in names), rules=rules)


def test_columns_read_are_those_without_which_it_fails() -> None:
    """Keys count, what is passed over does not, and a view of everything reads everything."""
    assert columns_read(ENGINE, spend, CONTRACT) == {"customer", "at", "price"}
    assert columns_read(ENGINE, stays, CONTRACT) == {"customer", "at", "kept"}
    assert columns_read(ENGINE, everything, CONTRACT) == {c.name for c in COLUMNS}
    with pytest.raises(TaskFailed):
        columns_read(ENGINE, spend, without("price"))


def test_a_dropped_column_names_every_view_and_model_that_reads_it() -> None:
    """Also labels; and nobody where nobody reads it."""
    found = reached(without("country", "kept", "note"), spend, place)
    assert found == {"country": [("place", ("by_place",))], "kept": [("stays", ("by_spend", "by_place"))], "note": []}


def test_a_widened_column_names_those_who_read_it() -> None:
    """They may meet nulls or values that they never met; a tightened one reaches nobody."""
    assert reached(column("price", required=False), spend, place) == {"price": [("spend", ("by_spend",))]}
    free = replace(CONTRACT, rules=())
    assert reached(free, spend, place) == {"country": [("place", ("by_place",))]}
    assert reached(CONTRACT, spend, place, old=free) == {"country": []}


def test_types_are_tried() -> None:
    """Whole numbers for numbers change what a feature is; text for whole numbers cannot be multiplied."""
    found = impacts(ENGINE, team(spend), "orders", diff(CONTRACT, column("price", type="integer")))
    assert [impact.effect for impact in next(iter(found.values()))] == ["returns 'price' as int64, not double"]
    found = impacts(ENGINE, team(spend), "orders", diff(CONTRACT, column("price", type="string")))
    assert "spend" in next(iter(found.values()))[0].effect
    assert reached(column("note", type="integer"), spend) == {"note": []}


def test_an_added_column_reaches_views_that_take_everything() -> None:
    """They would return a feature more, which their table does not hold; others do not notice."""
    more = replace(CONTRACT, columns=(*COLUMNS, Column("channel", "channel", "string")))
    assert reached(more, spend, everything) == {"channel": [("everything_v2", ("by_everything",))]}


def test_a_view_that_was_changed_along_with_the_contract_is_not_broken() -> None:
    """It reads what the new contract adds; what it still reads of the dropped is named."""

    @feature_view(ORDERS, entity="customer", time="at")
    def renewed(rows: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
        """Per order: channel and place."""
        return rows.select("customer", "at", "channel", "country")

    dropped = without("country", "note")
    new = replace(dropped, columns=(*dropped.columns, Column("channel", "channel", "string")))
    assert reached(new, renewed) == {"country": [("renewed", ("by_renewed",))], "note": [], "channel": []}
