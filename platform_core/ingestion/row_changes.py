"""Contract check of arriving rows: those with values (upserts where there is a key), and deletions by key.

A row ends another where its field ``_deleted`` is true, and all rows of a file do that is called ``….deleted.csv``.
Such a row need say no more than its key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from loopline.platform_core.contracts.engine import Checked
from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.foundation.names import DATE, DELETED, OP
from loopline.platform_core.ingestion.raw_rows import no_rows

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.contracts.engine import Engine
    from loopline.platform_core.specs.contracts.contract_file import RowContract

TOMBSTONES = ".deleted."
"""In a file's name, before its last suffix: each of its rows ends the row of its key."""
YES, NO = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0", "")
MALFORMED_DELETION = f"{DELETED}.parsable"


def ends_rows(name: str) -> bool:
    """Say whether a file's name says that its rows end others."""
    return TOMBSTONES in f".{name.partition('.')[2].lower()}"


def check_rows(engine: Engine, rows: pa.Table, contract: RowContract, name: str = "") -> Checked:
    """Check text rows by their contract; of good ones that end another, ``_op`` is ``deleted`` and the rest is null.

    Raises:
        ContractBroken: as ``Engine.check_rows``, or a row ends another and nothing names rows.
    """
    ends = _ends(rows, name)
    if ends is None:
        return engine.check_rows(rows, contract)
    if not contract.key:
        raise ContractBroken(
            f"rows are to be deleted, but contract {contract.name} {contract.version} names no key",
            "mark the columns that name a row with primaryKey: true in the contract",
        )
    bare = rows.drop_columns([each for each in (DELETED,) if each in rows.column_names])
    return _checked(engine, rows, bare, contract, ends)


def _checked(engine: Engine, rows: pa.Table, bare: pa.Table, contract: RowContract, ends: pa.Array) -> Checked:
    import pyarrow as pa
    from pyarrow import compute

    brings, odd = compute.equal(ends, 0), ends.is_null()
    if compute.any(brings).as_py() or not len(rows):
        kept = engine.check_rows(bare.filter(brings), contract)
    else:  # a file of keys alone need not have the other columns
        kept = Checked(no_rows(contract).drop_columns([DATE]), _malformed_deletions(bare.slice(0, 0)))
    gone = engine.check_rows(bare.filter(compute.equal(ends, 1)), contract.of_key())
    deleted = gone.good.append_column(OP, pa.repeat(pa.scalar("deleted"), len(gone.good)))
    bad = [_bad(kept.bad, rows, None), _bad(gone.bad, rows, "true"), _malformed_deletions(rows.filter(odd))]
    return Checked(pa.concat_tables([kept.good, deleted], promote_options="default"), _joined(*bad))


def _ends(rows: pa.Table, name: str) -> pa.Array | None:
    """Return 1 for each row that ends another, 0 for each that does not, null for what says neither; None for none."""
    import pyarrow as pa
    from pyarrow import compute

    if ends_rows(name):
        return pa.repeat(pa.scalar(1), len(rows))
    if DELETED not in rows.column_names:
        return None
    said = compute.utf8_lower(compute.utf8_trim_whitespace(compute.fill_null(rows[DELETED].cast(pa.string()), "")))
    yes, no = (compute.is_in(said, value_set=pa.array(words)) for words in (YES, NO))
    return compute.if_else(yes, 1, compute.if_else(no, 0, None)).combine_chunks()


def _malformed_deletions(rows: pa.Table) -> pa.Table:
    import pyarrow as pa

    return rows.append_column("reasons", pa.array([[MALFORMED_DELETION]] * len(rows), pa.list_(pa.string())))


def _bad(bad: pa.Table, rows: pa.Table, deletion: str | None) -> pa.Table:
    """Give bad rows back what they said of deletion, so that they are known again when they are mended."""
    import pyarrow as pa

    if DELETED not in rows.column_names and deletion is None:
        return bad
    return bad.append_column(DELETED, pa.repeat(pa.scalar(deletion, pa.string()), len(bad)))


def _joined(*tables: pa.Table) -> pa.Table:
    import pyarrow as pa

    there: Sequence[pa.Table] = [table for table in tables if len(table)] or tables[:1]
    return pa.concat_tables(there, promote_options="default")
