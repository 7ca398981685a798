"""What a contract says of keys: several columns in their order, required, and no two rows of one key in a file."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from loopline.platform_core.errors import ContractBroken, InvalidSpec
from loopline.platform_core.ingestion.row_changes import check_rows
from loopline.platform_core.specs.contracts.contract_diff import diff
from loopline.platform_core.specs.contracts.odcs import read_contract
from loopline.resources.polars.engine import PolarsEngine

HEAD = "apiVersion: v3.1.0\nkind: DataContract\nid: lines\nversion: 1.0.0\nschema:\n  - name: lines\n    properties:\n"
LINE, ORDER, AMOUNT = (
    "      - {name: line, logicalType: integer, primaryKey: true, primaryKeyPosition: 2}\n",
    "      - {name: order, logicalType: string, primaryKey: true, primaryKeyPosition: 1}\n",
    "      - {name: amount, logicalType: number, required: true}\n",
)


def contract(folder: Path, *properties: str, name: str = "lines.yaml"):
    """Write and read a contract."""
    (folder / name).write_text(HEAD + "".join(properties))
    return read_contract(folder / name)


def arrived(**columns: list[str | None]) -> pa.Table:
    """Make the rows of one file."""
    rows = pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
    return rows.append_column("_arrival", pa.array(["f"] * len(rows)))


def test_a_key_has_several_columns_in_their_order(tmp_path: Path) -> None:
    """Rows that share one column of it are not alike; rows that share all, or lack one, are dead letters."""
    lines = contract(tmp_path, LINE, ORDER, AMOUNT)
    assert lines.key == ("order", "line")
    rows = arrived(line=["1", "2", "1", "1", None], order=["a", "a", "b", "b", "c"], amount=["1"] * 5)
    checked = check_rows(PolarsEngine(), rows, lines)
    assert checked.good.select(["order", "line"]).to_pylist() == [{"order": "a", "line": 1}, {"order": "a", "line": 2}]
    assert checked.bad["reasons"].to_pylist() == [["primary_key.unique"], ["primary_key.unique"], ["line.required"]]


def test_positions_must_be_whole(tmp_path: Path) -> None:
    """Two columns of one position, or one without, say nothing of the order."""
    with pytest.raises(InvalidSpec, match="primaryKeyPosition: 2 columns of the key have the positions"):
        contract(tmp_path, LINE, ORDER.replace("Position: 1", "Position: 2"), AMOUNT)


def test_deletions_name_keys_alone(tmp_path: Path) -> None:
    """By a field, by the file's name, or by something odd that is a dead letter; without a key they mean nothing."""
    lines, engine = contract(tmp_path, LINE, ORDER, AMOUNT), PolarsEngine()
    some = arrived(line=["1", "2", "3"], order=["a"] * 3, amount=["1", None, "3"], _deleted=[None, "TRUE", "maybe"])
    checked = check_rows(engine, some, lines)
    assert checked.good.select(["line", "amount", "_op"]).to_pylist() == [
        {"line": 1, "amount": 1.0, "_op": None},
        {"line": 2, "amount": None, "_op": "deleted"},
    ]
    assert checked.bad["reasons"].to_pylist() == [["_deleted.parsable"]]
    keys = check_rows(engine, arrived(line=["1"], order=["a"]), lines, "2026-01-01.deleted.csv")
    assert keys.good.select(["amount", "_op"]).to_pylist() == [{"amount": None, "_op": "deleted"}]
    unnamed = contract(tmp_path, AMOUNT, name="unnamed.yaml")
    with pytest.raises(ContractBroken, match="names no key"):
        check_rows(engine, arrived(amount=["1"], _deleted=["true"]), unnamed)


def test_another_key_breaks_both(tmp_path: Path) -> None:
    """Consumers see other rows hold, producers find others refused."""
    before, after = contract(tmp_path, LINE, ORDER, AMOUNT), contract(tmp_path, ORDER, AMOUNT, name="other.yaml")
    change = next(change for change in diff(before, after).changes if change.what.startswith("key"))
    assert (change.what, change.breaks) == ("key order, line → order", ("consumers", "producers"))
