"""The kit for row checks catches an engine that breaks its promise, one way at a time."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from loopline.platform_core.contracts.engine import Checked
from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.specs.contract_file import RowContract
from loopline.platform_core.testing.engine_rows import RowChecksKit
from loopline.platform_core.testing.mutants import assert_catches
from loopline.resources.polars.engine import PolarsEngine


class DropsBadRows(PolarsEngine):
    """Bad rows are nowhere."""

    def check_rows(self, rows: pa.Table, contract: RowContract) -> Checked:
        checked = super().check_rows(rows, contract)
        return Checked(checked.good, checked.bad.slice(0, 0))


class KeepsContractFieldsOnly(PolarsEngine):
    """Bad rows lose the fields that the contract does not name."""

    def check_rows(self, rows: pa.Table, contract: RowContract) -> Checked:
        names = [c.physical_name for c in contract.columns]
        return super().check_rows(rows.select([n for n in rows.column_names if n in names or n[0] == "_"]), contract)


class FirstReasonOnly(PolarsEngine):
    """A bad row has one reason."""

    def check_rows(self, rows: pa.Table, contract: RowContract) -> Checked:
        checked = super().check_rows(rows, contract)
        first = pa.array([reasons[:1] for reasons in checked.bad["reasons"].to_pylist()], pa.list_(pa.string()))
        return Checked(checked.good, checked.bad.set_column(checked.bad.num_columns - 1, "reasons", first))


class MinimumIsExclusive(PolarsEngine):
    """A value that equals its bound breaks it."""

    def check_rows(self, rows: pa.Table, contract: RowContract) -> Checked:
        kinds = {"minimum": "exclusive_minimum"}
        rules = tuple(replace(rule, kind=kinds.get(rule.kind, rule.kind)) for rule in contract.rules)
        return super().check_rows(rows, replace(contract, rules=rules))


class LeavesText(PolarsEngine):
    """Good rows stay text."""

    def check_rows(self, rows: pa.Table, contract: RowContract) -> Checked:
        checked = super().check_rows(rows, contract)
        names = [c.physical_name for c in contract.columns]
        among = pc.is_in(rows["_line"], value_set=checked.good["_line"].combine_chunks())
        return Checked(rows.filter(among).select([*names, "_line"]), checked.bad)


class Rounds(PolarsEngine):
    """Fractions become whole numbers."""

    def check_rows(self, rows: pa.Table, contract: RowContract) -> Checked:
        for at, column in enumerate(rows.column_names):
            if column == "Whole":
                rows = rows.set_column(at, column, pc.replace_substring_regex(rows[column], r"\..*", ""))
        return super().check_rows(rows, contract)


class CarriesAnything(PolarsEngine):
    """Columns that begin with a line are carried along, whosever they are."""

    def check_rows(self, rows: pa.Table, contract: RowContract) -> Checked:
        checked = super().check_rows(rows, contract)
        among = pc.is_in(rows["_line"], value_set=checked.good["_line"].combine_chunks())
        others = [n for n in rows.column_names if n[0] == "_" and n not in (*checked.good.column_names, "_malformed")]
        good = checked.good
        for name in others:
            good = good.append_column(name, rows.filter(among)[name])
        return Checked(good, checked.bad)


class HoldsAnyYear(PolarsEngine):
    """An instant that cannot be held is the last one that can be."""

    def check_rows(self, rows: pa.Table, contract: RowContract) -> Checked:
        for at, column in enumerate(rows.column_names):
            if column == "at":
                last = pc.replace_substring_regex(rows[column], r"^[+]\d+", "9999")
                rows = rows.set_column(at, column, last)
        return super().check_rows(rows, contract)


class LooksPastMalformed(PolarsEngine):
    """A malformed row is judged by its fields."""

    def check_rows(self, rows: pa.Table, contract: RowContract) -> Checked:
        nulls = pa.nulls(len(rows), pa.string())
        return super().check_rows(rows.set_column(rows.column_names.index("_malformed"), "_malformed", nulls), contract)


class FillsMissingColumns(PolarsEngine):
    """A missing column reads as null."""

    def check_rows(self, rows: pa.Table, contract: RowContract) -> Checked:
        for column in contract.columns:
            if column.physical_name not in rows.column_names:
                rows = rows.append_column(column.physical_name, pa.nulls(len(rows), pa.string()))
        return super().check_rows(rows, contract)


class MissesEveryColumn(PolarsEngine):
    """An optional column that did not come is missed too."""

    def check_rows(self, rows: pa.Table, contract: RowContract) -> Checked:
        if not {column.physical_name for column in contract.columns} <= set(rows.column_names):
            raise ContractBroken("a column is missing", "send it")
        return super().check_rows(rows, contract)


class BlamesTheRows(PolarsEngine):
    """A retyped column makes every row a bad one."""

    def check_rows(self, rows: pa.Table, contract: RowContract) -> Checked:
        columns = tuple(replace(column, required=False) for column in contract.columns)
        return super().check_rows(rows, replace(contract, columns=columns))


class WantsRows(PolarsEngine):
    """A file without rows is refused."""

    def check_rows(self, rows: pa.Table, contract: RowContract) -> Checked:
        if not len(rows):
            raise ContractBroken("no rows", "send some")
        return super().check_rows(rows, contract)


@pytest.mark.parametrize(
    ("mutant", "test"),
    [
        (DropsBadRows, "test_1_good_and_bad_are_everything"),
        (KeepsContractFieldsOnly, "test_1_good_and_bad_are_everything"),
        (FirstReasonOnly, "test_1_every_reason_is_given"),
        (MinimumIsExclusive, "test_1_each_kind_of_rule"),
        (LeavesText, "test_1_good_rows_are_typed"),
        (Rounds, "test_1_what_does_not_parse_is_not_guessed"),
        (CarriesAnything, "test_1_only_the_platforms_columns_are_carried"),
        (HoldsAnyYear, "test_1_what_cannot_be_held_does_not_parse"),
        (LooksPastMalformed, "test_1_a_malformed_row_is_bad_for_that_reason"),
        (FillsMissingColumns, "test_1_a_missing_column_breaks_the_contract"),
        (MissesEveryColumn, "test_1_an_optional_column_may_be_absent"),
        (BlamesTheRows, "test_1_a_retyped_column_breaks_the_contract"),
        (WantsRows, "test_1_no_rows_are_no_trouble"),
    ],
)
def test_the_kit_catches(mutant: type[PolarsEngine], test: str) -> None:
    """An engine that is wrong in one way fails the test for it."""
    assert_catches(RowChecksKit, test, engine=mutant())
