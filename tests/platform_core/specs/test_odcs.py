"""A contract file is read into columns and rules, or refused with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.specs.contracts.contract_file import Column, Rule
from loopline.platform_core.specs.contracts.odcs import read_contract

CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.2.0
status: active
schema:
  - name: orders
    properties:
      - name: customer_id
        physicalName: Customer ID
        logicalType: integer
        required: true
      - {name: invoice, logicalType: string, unique: true, logicalTypeOptions: {pattern: "^C?[0-9]{6}$", maxLength: 7}}
      - {name: price, logicalType: number, logicalTypeOptions: {exclusiveMinimum: 0, maximum: 10000.5}}
      - name: invoiced_at
        logicalType: timestamp
        logicalTypeOptions: {format: "%m/%d/%Y %H:%M"}
      - name: country
        logicalType: string
        quality:
          - {type: library, metric: invalidValues, arguments: {validValues: [UK, FR]}, mustBe: 0}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Write the contract."""
    path = tmp_path / "orders.v1.yaml"
    path.write_text(CONTRACT)
    return path


def test_columns_and_rules_are_read(path: Path) -> None:
    """Each property is a column; required, unique, options and valid values are rules with names of their own."""
    contract = read_contract(path)
    assert (contract.name, contract.version, contract.path) == ("orders", "1.2.0", path)
    assert contract.columns == (
        Column("customer_id", "Customer ID", "integer", required=True),
        Column("invoice", "invoice", "string"),
        Column("price", "price", "number"),
        Column("invoiced_at", "invoiced_at", "timestamp", format="%m/%d/%Y %H:%M"),
        Column("country", "country", "string"),
    )
    assert contract.rules == (
        Rule("customer_id.required", "customer_id", "required"),
        Rule("customer_id.parsable", "customer_id", "parsable"),
        Rule("invoice.pattern", "invoice", "pattern", ("^C?[0-9]{6}$",)),
        Rule("invoice.max_length", "invoice", "max_length", (7,)),
        Rule("invoice.unique", "invoice", "unique"),
        Rule("price.parsable", "price", "parsable"),
        Rule("price.exclusive_minimum", "price", "exclusive_minimum", (0,)),
        Rule("price.maximum", "price", "maximum", (10000.5,)),
        Rule("invoiced_at.parsable", "invoiced_at", "parsable"),
        Rule("country.one_of", "country", "one_of", ("UK", "FR")),
    )


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("logicalType: integer", "logicalType: object", 11, "customer_id: type 'object' is not known → use string, "),
        ("name: customer_id", "name: customer id", 9, "'customer id' is no column name"),
        ("name: country", "name: price", 18, "name 'price' stands twice"),
        ("exclusiveMinimum: 0", "multipleOf: 5", 14, "price: multipleOf: option is not known → use minimum"),
        ("exclusiveMinimum: 0", "pattern: '0'", 14, "pattern: does not apply to type number"),
        ("exclusiveMinimum: 0", "minimum: low", 14, "minimum: 'low' is no number"),
        ("maxLength: 7", "maxLength: 7.5", 13, "maxLength: 7.5 is no length"),
        ("^C?[0-9]{6}$", "(C", 13, "pattern: '\\(C' is no regular expression"),
        ("^C?[0-9]{6}$", "C(?!9)", 13, "looks around or back"),
        ("%m/%d/%Y %H:%M", "MM/dd/yy", 17, "'MM/dd/yy' is no date pattern: 'yy' is not read → write yyyy"),
        ("metric: invalidValues", "metric: rowCount", 21, "country: check 'rowCount' is not known"),
        ("{validValues: [UK, FR]}", "{pattern: x}", 21, "country: no validValues"),
        ("mustBe: 0", "mustBeLessThan: 9", 21, "only 'mustBe: 0'"),
        ("required: true", "required: [1]", 12, "required: Input should be a valid boolean"),
        ("version: 1.2.0\n", "", 1, "no contract version"),
        ("status: active", "owner: me", 5, "owner: Extra inputs are not permitted"),
        ("- name: orders\n    properties:", "- name: orders\n    quality:", 6, "describes no table"),
        ("    properties:", "    quality: [{type: sql, query: x}]\n    properties:", 8, "whole table"),
        ("id: orders", "id: [", 5, "no valid YAML"),
    ],
)
def test_what_is_not_understood_is_refused(path: Path, old: str, new: str, line: int, says: str) -> None:
    """The error names the line, the problem and what to write instead."""
    assert old in CONTRACT
    path.write_text(CONTRACT.replace(old, new, 1))
    with pytest.raises(InvalidSpec, match=says) as error:
        read_contract(path)
    assert error.value.problem.startswith(f"{path}:{line}: ")
    assert error.value.fix


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The path is in the message."""
    with pytest.raises(InvalidSpec, match=r"nowhere\.yaml: cannot be read"):
        read_contract(tmp_path / "nowhere.yaml")
