"""Column types of Delta tables: casts rows so that what is read equals what was written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import ContractBroken

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable


def canonical(rows: pa.Table) -> pa.Table:
    """Cast to the types that a table keeps; every column becomes nullable."""
    import pyarrow as pa

    return rows.cast(pa.schema([pa.field(field.name, plain(field.type)) for field in rows.schema]))


def plain(kind: pa.DataType) -> pa.DataType:
    """Return the one spelling of a type that tables keep."""
    import pyarrow as pa
    from pyarrow import types

    if types.is_timestamp(kind):  # without a zone it is UTC by the platform's rule
        return pa.timestamp("us", "UTC")
    if types.is_large_string(kind) or types.is_string_view(kind):
        return pa.string()
    if types.is_dictionary(kind):
        return plain(kind.value_type)
    if types.is_list(kind) or types.is_large_list(kind):
        return pa.list_(plain(kind.value_type))
    if types.is_struct(kind):
        return pa.struct([pa.field(field.name, plain(field.type)) for field in kind])
    return kind


def refuse_other_types(table: str, delta_table: DeltaTable, rows: pa.Table) -> None:
    """Compare the rows' types with the table's, because delta-rs would cast what it can.

    Raises:
        ContractBroken: a column is of another type than in the table.
    """
    import pyarrow as pa

    held: Any = {field.name: field.type for field in pa.schema(delta_table.schema().to_arrow())}
    for field in rows.schema:
        was = plain(held.get(field.name, field.type))
        if was != field.type:
            raise ContractBroken(
                f"{table}: column {field.name!r} is {was} in the table and {field.type} in the rows",
                "cast the column, or write a table of a new name",
            )
