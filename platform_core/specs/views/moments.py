"""Portable helpers for feature functions, where Narwhals 2.29 differs between engines or lacks an expression."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import narwhals as nw


def minutes(moment: nw.Expr) -> nw.Expr:
    """Count the minutes up to a moment, since the year 1 (int64): subtract two of them for the time in between.

    The difference of two moments itself has a length on Polars and DuckDB only: Narwhals 2.29 cannot ask for it on
    PySpark. The parts of a date can be had everywhere.
    """
    import narwhals as nw

    def part(name: str) -> nw.Expr:
        found: nw.Expr = getattr(moment.dt, name)()
        return found.cast(nw.Int64)  # Polars counts hours in eight bits, in which 23 * 60 has no room

    years = part("year") - 1
    days = years * 365 + years // 4 - years // 100 + years // 400 + part("ordinal_day")
    return (days * 24 + part("hour")) * 60 + part("minute")


def weekday(moment: nw.Expr) -> nw.Expr:
    """Number the day of the week, Monday 1 to Sunday 7: ``dt.weekday()`` makes Sunday 0 on PySpark."""
    return (moment.dt.weekday() + 6) % 7 + 1


def vector(*numbers: nw.Expr) -> nw.Expr:
    """Put numbers of a row into one list, NaN for null: Narwhals 2.29 has no expression for that."""
    import narwhals as nw

    texts = [number.cast(nw.Float64).fill_null(float("nan")).cast(nw.String) for number in numbers]
    return nw.concat_str(texts, separator="|").str.split("|").cast(nw.List(nw.Float64))
