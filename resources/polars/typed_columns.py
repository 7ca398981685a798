"""Casts of text columns to a contract's types; what does not parse is null."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from loopline.platform_core.specs.contracts.jdk_pattern import form_of

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.specs.contracts.contract_file import Column

LARGEST_WHOLE = 2**53
"""Above it a float64 no longer tells neighbouring whole numbers apart."""
PLAIN_INSTANT = "%Y-%m-%dT%H:%M:%S"
EARLIEST, LATEST = datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999_999)  # noqa: DTZ001 - UTC, of a frame
"""What an instant can be held as, in UTC: Python, Arrow's readers and databases know no other years."""
TRUE, FALSE = ("true", "1", "yes"), ("false", "0", "no")


def typed(column: Column, text: pl.Series) -> pl.Series:
    """Read a text column of the file as a column of the contract.

    Nearly all values are written the plain way, so that is tried first; what it does not read is read with care.
    """
    text = text.cast(pl.String)
    if column.type == "string":
        return text.alias(column.name)
    values = _run(text, _held(_plainly(pl.col("text"), column), column))
    missed = (values.is_null() & text.is_not_null()).arg_true()
    if len(missed):
        careful = _held(_carefully(pl.col("text").str.strip_chars(), column), column)
        values = values.scatter(missed, _run(text.gather(missed), careful))
    return values.alias(column.name)


def described(column: Column) -> str:
    """Say what a value should look like."""
    return f"{column.type} ({column.format})" if column.format else column.type


def _run(text: pl.Series, read: pl.Expr) -> pl.Series:
    return text.alias("text").to_frame().select(values=read)["values"]


def _plainly(text: pl.Expr, column: Column) -> pl.Expr:
    """Read values that are written as a program writes them; others are null, and so may be some of those."""
    if column.type == "integer":
        return text.cast(pl.Int64, strict=False)
    if column.type == "timestamp" and column.format is None:
        solid = text.str.replace(" ", "?", literal=True)  # strptime would take a blank for a nought
        instant = solid.str.strptime(pl.Datetime("us"), PLAIN_INSTANT, strict=False, cache=False)
        return instant.dt.replace_time_zone("UTC")
    return _carefully(text, column)


def _carefully(text: pl.Expr, column: Column) -> pl.Expr:
    if column.type == "integer":
        return _whole(text)
    if column.type == "number":
        number = text.cast(pl.Float64, strict=False)
        return pl.when(number.is_finite()).then(number)
    if column.type == "boolean":
        lower = text.str.to_lowercase()
        return pl.when(lower.is_in(TRUE)).then(statement=True).when(lower.is_in(FALSE)).then(statement=False)
    if column.type == "date":
        return _patterned(text, column.format or "%Y-%m-%d", pl.Date())
    return _instant(text, column.format)


def _held(value: pl.Expr, column: Column) -> pl.Expr:
    """Leave out days and instants that can be written but not held, such as the year 10000."""
    if column.type == "date":
        return pl.when(value.is_between(EARLIEST.date(), LATEST.date())).then(value)
    if column.type == "timestamp":
        first, last = (pl.lit(bound).dt.replace_time_zone("UTC") for bound in (EARLIEST, LATEST))
        return pl.when(value.is_between(first, last)).then(value)
    return value


def _whole(text: pl.Expr) -> pl.Expr:
    """Read whole numbers, also those that a spreadsheet wrote as ``13085.0``."""
    number = text.cast(pl.Float64, strict=False)
    whole = (number == number.floor()) & (number.abs() <= LARGEST_WHOLE)
    return pl.coalesce(text.cast(pl.Int64, strict=False), pl.when(whole).then(number).cast(pl.Int64, strict=False))


def _instant(text: pl.Expr, form: str | None) -> pl.Expr:
    """Read instants; without a zone in the text they are UTC. The default is ISO 8601."""
    if form is not None:
        if any(zone in form_of(form).strptime for zone in ("%z", "%:z", "%#z")):
            return _patterned(text, form, pl.Datetime("us", "UTC"))
        return _patterned(text, form, pl.Datetime("us")).dt.replace_time_zone("UTC")
    iso = text.str.replace(" ", "T", literal=True).str.replace("Z$", "+00:00")
    zoned = iso.str.strptime(pl.Datetime("us", "UTC"), "%Y-%m-%dT%H:%M:%S%.f%:z", strict=False)
    bare = iso.str.strptime(pl.Datetime("us"), "%Y-%m-%dT%H:%M:%S%.f", strict=False)
    return pl.coalesce(zoned, bare.dt.replace_time_zone("UTC"))


def _patterned(text: pl.Expr, pattern: str, kind: pl.Date | pl.Datetime) -> pl.Expr:
    """Read texts that have a pattern's shape."""
    form = form_of(pattern)
    shaped = text if form.shape is None else pl.when(text.str.contains(form.shape)).then(text)
    return shaped.str.strptime(kind, form.strptime, strict=False)


def to_arrow(frame: pl.DataFrame) -> pa.Table:
    """Return a table of the platform's types: ``string`` and ``list``, not their large kin."""
    import pyarrow as pa

    table = frame.to_arrow()
    plain = {pa.large_string(): pa.string(), pa.large_list(pa.large_string()): pa.list_(pa.string())}
    return table.cast(pa.schema([(field.name, plain.get(field.type, field.type)) for field in table.schema]))
