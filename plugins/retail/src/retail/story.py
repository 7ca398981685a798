"""What ``loopline demo cancellations`` and ``loopline demo value`` tell of: two years of orders, a file a day."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import partial
from typing import TYPE_CHECKING

from loopline.demo.days import days
from loopline.demo.declared import Story

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopline.demo.declared import Day
    from loopline.specs import Team

LOG = "data/online_retail.csv.xz"


def two_years(team: Team) -> Iterator[Day]:
    """Yield the orders' files."""
    return days(team.folder / LOG)


in_pence = partial(
    Story,
    team="retail",
    about="two years of a gift wholesaler's orders",
    days=two_years,
    mistake="money in pence instead of pounds",
    rows="order lines",
    dead_letters=True,
    as_of=tuple(datetime(year, month, 1, tzinfo=UTC) for year, month in ((2010, 10), (2011, 2), (2011, 7), (2011, 12))),
)
cancellations = in_pence(
    model="cancellations",
    go_live=date(2010, 7, 1),
    drill=dict.fromkeys(("value", "mean_line", "max_line", "mean_price", "max_price"), 100.0),
)
value = in_pence(
    model="value",
    go_live=date(2010, 12, 1),  # labels take 91 days to come
    drill=dict.fromkeys(("past_spend", "mean_order_value"), 100.0),
)
