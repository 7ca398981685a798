"""The kit for row checks catches an engine that breaks its promise, one way at a time."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from loopline.platform_core.contracts.engine import Checked
from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.specs.contracts.contract_file import RowContract
from loopline.platform_core.testing.engines.engine_rows import RowChecksKit
from loopline.platform_core.testing.parts.mutants import assert_catches
from loopline.resources.polars.engine import PolarsEngine
from tests.platform_core.testing.mutant import mutant, pairs


def before(change: Any) -> dict[str, Any]:
    """Make an engine that changes rows and contract before it looks."""
    return {"check_rows": lambda up, _, rows, contract: up.check_rows(*change(rows, contract))}


def after(change: Any) -> dict[str, Any]:
    """Make an engine that changes what it has found."""
    return {"check_rows": lambda up, _, rows, contract: change(up.check_rows(rows, contract), rows, contract)}


def with_column(rows: pa.Table, name: str, change: Any) -> pa.Table:
    """Change a column, where there is one."""
    return (
        rows.set_column(rows.column_names.index(name), name, change(rows[name])) if name in rows.column_names else rows
    )


def column(name: str, change: Any) -> dict[str, Any]:
    """Make an engine that changes a column before it looks."""
    return before(lambda rows, contract: (with_column(rows, name, change), contract))


def names(contract: RowContract) -> list[str]:
    """Return the columns that a contract names."""
    return [column.physical_name for column in contract.columns]


def good_of(checked: Checked, rows: pa.Table) -> pa.Table:
    """Return the good rows as they came."""
    return rows.filter(pc.is_in(rows["_line"], value_set=checked.good["_line"].combine_chunks()))


def first_reason(reasons: pa.ChunkedArray) -> pa.Array:
    """Leave each row one reason."""
    return pa.array([each[:1] for each in reasons.to_pylist()], pa.list_(pa.string()))


def exclusive(contract: RowContract) -> RowContract:
    """Let a value that equals its minimum break it."""
    kinds = {"minimum": "exclusive_minimum"}
    return replace(
        contract, rules=tuple(replace(rule, kind=kinds.get(rule.kind, rule.kind)) for rule in contract.rules)
    )


def carried(checked: Checked, rows: pa.Table, _: RowContract) -> Checked:
    """Carry along whatever begins with a line."""
    good, found = checked.good, good_of(checked, rows)
    for name in rows.column_names:
        if name[0] == "_" and name not in (*checked.good.column_names, "_malformed"):
            good = good.append_column(name, found[name])
    return Checked(good, checked.bad)


def filled(rows: pa.Table, contract: RowContract) -> tuple[pa.Table, RowContract]:
    """Take a missing column for one of nulls."""
    for name in names(contract):
        if name not in rows.column_names:
            rows = rows.append_column(name, pa.nulls(len(rows), pa.string()))
    return rows, contract


class MissesEveryColumn(PolarsEngine):
    """An optional column that did not come is missed too."""

    def check_rows(self, rows: pa.Table, contract: RowContract) -> Checked:
        if not {*names(contract)} <= set(rows.column_names):
            raise ContractBroken("a column is missing", "send it")
        return super().check_rows(rows, contract)


class WantsRows(PolarsEngine):
    """A file without rows is refused."""

    def check_rows(self, rows: pa.Table, contract: RowContract) -> Checked:
        if not len(rows):
            raise ContractBroken("no rows", "send some")
        return super().check_rows(rows, contract)


def optional(contract: RowContract) -> RowContract:
    """Let every column be absent."""
    return replace(contract, columns=tuple(replace(column, required=False) for column in contract.columns))


made = partial(mutant, PolarsEngine)
CAUGHT = {
    "test_1_good_and_bad_are_everything": [
        # bad rows are nowhere
        made("DropsBadRows", **after(lambda checked, *_: Checked(checked.good, checked.bad.slice(0, 0)))),
        # bad rows lose the fields that the contract does not name
        made(
            "KeepsContractFieldsOnly",
            **before(lambda rows, c: (rows.select([n for n in rows.column_names if n in names(c) or n[0] == "_"]), c)),
        ),
    ],
    "test_1_every_reason_is_given": [
        # a bad row has one reason
        made(
            "FirstReasonOnly",
            **after(lambda found, *_: Checked(found.good, with_column(found.bad, "reasons", first_reason))),
        ),
    ],
    # a value that equals its bound breaks it
    "test_1_each_kind_of_rule": [
        made("MinimumIsExclusive", **before(lambda rows, contract: (rows, exclusive(contract))))
    ],
    "test_1_good_rows_are_typed": [
        # good rows stay text
        made(
            "LeavesText",
            **after(lambda found, rows, c: Checked(good_of(found, rows).select([*names(c), "_line"]), found.bad)),
        ),
    ],
    "test_1_what_does_not_parse_is_not_guessed": [
        # fractions become whole numbers
        made("Rounds", **column("Whole", lambda text: pc.replace_substring_regex(text, r"\..*", ""))),
    ],
    # columns that begin with a line are carried along, whosever they are
    "test_1_only_the_platforms_columns_are_carried": [made("CarriesAnything", **after(carried))],
    "test_1_what_cannot_be_held_does_not_parse": [
        # an instant that cannot be held is the last one that can be
        made("HoldsAnyYear", **column("at", lambda text: pc.replace_substring_regex(text, r"^[+]\d+", "9999"))),
    ],
    "test_1_a_malformed_row_is_bad_for_that_reason": [
        # a malformed row is judged by its fields
        made("LooksPastMalformed", **column("_malformed", lambda text: pa.nulls(len(text), pa.string()))),
    ],
    # a missing column reads as null
    "test_1_a_missing_column_breaks_the_contract": [made("FillsMissingColumns", **before(filled))],
    "test_1_an_optional_column_may_be_absent": [MissesEveryColumn],
    # a retyped column makes every row a bad one
    "test_1_a_retyped_column_breaks_the_contract": [
        made("BlamesTheRows", **before(lambda rows, c: (rows, optional(c))))
    ],
    "test_1_no_rows_are_no_trouble": [WantsRows],
}


@pytest.mark.parametrize(("mutant", "test"), pairs(CAUGHT))
def test_the_kit_catches(mutant: type[PolarsEngine], test: str) -> None:
    """An engine that is wrong in one way fails the test for it."""
    assert_catches(RowChecksKit, test, engine=mutant())
