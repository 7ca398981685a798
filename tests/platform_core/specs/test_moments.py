"""Minutes between moments and days of the week are the clock's and the calendar's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import narwhals as nw
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from loopline.platform_core.specs import minutes, weekday

whole_minutes = st.datetimes(datetime(1900, 1, 1), datetime(2400, 12, 31)).map(  # noqa: DTZ001 - made UTC below
    lambda at: at.replace(second=0, microsecond=0, tzinfo=UTC)
)


@given(st.lists(st.tuples(whole_minutes, whole_minutes), min_size=1))
def test_the_difference_is_that_of_the_clock(pairs: list[tuple[datetime, datetime]]) -> None:
    """Leap years, centuries and late hours included."""
    frame = pl.DataFrame(pairs, schema={"a": pl.Datetime("us", "UTC"), "b": pl.Datetime("us", "UTC")}, orient="row")
    found = nw.from_native(frame).select(d=minutes(nw.col("a")) - minutes(nw.col("b")), day=weekday(nw.col("a")))
    assert found["d"].to_list() == [(a - b) // timedelta(minutes=1) for a, b in pairs]
    assert found["day"].to_list() == [a.isoweekday() for a, _ in pairs]
