"""The team's functions over frames: views of a customer's past and of an order, and labels."""

from __future__ import annotations

import lzma
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import narwhals as nw
import polars as pl
import pytest
import retail
from retail.features import customer_history, order_shape
from retail.labels import cancelled_within_30_days, ordered_again_within_30_days

from loopline.platform_core.specs.contracts.odcs import read_contract
from loopline.resources.polars.engine import PolarsEngine

MONDAY = datetime(2010, 5, 3, 9, 0, tzinfo=UTC)


def line(invoice: str, days: float = 0, stock_code: str = "A", quantity: int = 1, price: float = 2.5) -> dict[str, Any]:
    """Make a line of customer 1, ``days`` after a Monday in May 2010."""
    at = MONDAY + timedelta(days=days)
    goods = {"stock_code": stock_code, "description": None, "quantity": quantity, "price": price}
    return {"invoice": invoice, **goods, "invoiced_at": at, "customer_id": 1, "country": "France"}


def run(compute: Callable[[Any], Any], lines: list[dict[str, Any]] | pl.DataFrame) -> pl.DataFrame:
    """Run a team's function as the engine does, rows in order of time."""
    rows = pl.DataFrame(lines).with_columns(pl.col("invoiced_at").cast(pl.Datetime("us", "UTC")))
    return nw.to_native(compute(nw.from_native(rows.lazy()))).collect().sort("invoiced_at")


def labels(labels_: Any, *lines: dict[str, Any]) -> dict[str, float]:
    """Return the label of each invoice."""
    rows = run(labels_.compute, list(lines))
    return dict(zip(rows["invoice"], rows["label"], strict=True))


@pytest.fixture(scope="module")
def accepted() -> pl.DataFrame:
    """Read the two years of the package, without what breaks the contract."""
    folder = Path(retail.__file__).parent
    with lzma.open(folder / "data" / "online_retail.csv.xz") as file:
        rows = pl.read_csv(file.read(), infer_schema=False)
    contract = read_contract(folder / "contracts" / "orders.v2.yaml")
    return pl.DataFrame(PolarsEngine().check_rows(rows.to_arrow(), contract).good)


def test_history_counts_the_rows_own_invoice() -> None:
    """A first order is in its own row: it is for later orders that the row is looked up."""
    [row] = run(customer_history.compute, [line("1", quantity=4), line("1", stock_code="B", price=10)]).to_dicts()
    assert (row["past_orders"], row["past_cancellations"], row["cancel_rate"]) == (1, 0, 0)
    assert (row["past_spend"], row["mean_order_value"], row["mean_order_lines"]) == (20, 20, 2)
    assert row["days_between"] is None


def test_history_counts_cancellations_apart() -> None:
    """An invoice that starts with C is a cancellation and no order; what it takes back is a refund."""
    row = run(customer_history.compute, [line("1", quantity=3), line("C2", 2, quantity=-1)]).to_dicts()[-1]
    assert (row["past_orders"], row["past_cancellations"], row["cancel_rate"]) == (1, 1, 0.5)
    assert (row["past_spend"], row["refund_share"], row["line_cancel_rate"]) == (7.5, 0.25, 0.5)
    assert row["days_between"] == 2


def test_history_of_a_cancellation_alone_has_no_mean_order() -> None:
    """Who never ordered has no mean order, rather than one of zero."""
    [row] = run(customer_history.compute, [line("C1", quantity=-1)]).to_dicts()
    assert (row["mean_order_value"], row["mean_order_lines"], row["refund_share"]) == (None, None, 1)


def test_history_forgets_after_90_days() -> None:
    """Exactly 90 days old is too old, so that features of a longer log are no larger."""
    rows = run(customer_history.compute, [line("1"), line("2", 89.99), line("3", 90)]).to_dicts()
    assert [row["past_orders"] for row in rows] == [1, 2, 2]
    assert rows[-1]["days_between"] == pytest.approx(0.01, abs=0.001)


def test_history_has_one_row_a_customer_and_moment() -> None:
    """Two invoices of the same minute are one row, in which only one purchase is counted."""
    [row] = run(customer_history.compute, [line("1"), line("2")]).to_dicts()
    assert (row["past_orders"], row["mean_order_lines"]) == (1, 2)


def test_shape_describes_the_order() -> None:
    """Sizes, pounds, shares, the time of day and the article worth most."""
    lines = [line("1", quantity=24, price=0.5), line("1", stock_code="B", price=20), line("1", quantity=1, price=1)]
    [row] = run(order_shape.compute, lines).to_dicts()
    assert (row["lines"], row["articles"], row["units"], row["max_quantity"]) == (3, 2, 26, 24)
    assert (row["value"], row["mean_line"], row["max_line"], row["max_price"]) == (33, 11, 20, 20)
    assert row["mean_price"] == pytest.approx(21.5 / 3)
    assert (row["single_share"], row["bulk_share"]) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert (row["market"], row["top_article"], row["hour"], row["weekday"]) == ("France", "B", 9, 1)


def test_shape_begins_with_the_first_line() -> None:
    """An invoice that crosses a minute is one order, placed when it began; a cancellation has no shape."""
    rows = run(order_shape.compute, [line("1", 0.001), line("1"), line("C2", 1)])
    assert rows.select("invoice", "invoiced_at").rows() == [("1", MONDAY)]


def test_an_order_is_cancelled_by_its_own_article_within_30_days() -> None:
    """Exactly 30 days later is within; later, earlier, another article or another customer is not."""
    order = line("1", 10)
    found = [
        labels(cancelled_within_30_days, order, line("C2", 40)),
        labels(cancelled_within_30_days, order, line("C2", 40.01)),
        labels(cancelled_within_30_days, order, line("C2", 9)),
        labels(cancelled_within_30_days, order, line("C2", 11, stock_code="B")),
        labels(cancelled_within_30_days, order, line("C2", 11) | {"customer_id": 2}),
        labels(cancelled_within_30_days, order),
    ]
    assert [label["1"] for label in found] == [1, 0, 0, 0, 0, 0]


def test_every_label_waits_for_the_last_file() -> None:
    """A cancellation on the first day is not used before day 31: else the newest month would be all cancelled."""
    rows = run(cancelled_within_30_days.compute, [line("1"), line("C2", 1), line("3", 1, stock_code="B")])
    assert rows["label"].to_list() == [1, 0]
    assert (rows["known_at"] - rows["invoiced_at"]).to_list() == [timedelta(days=31)] * 2


def test_an_order_whose_past_the_log_lacks_is_no_example() -> None:
    """The log begins in December 2009; examples begin 90 days later."""
    assert labels(cancelled_within_30_days, line("1", -63.5), line("2", -63)) == {"2": 0}


def test_an_order_is_followed_by_another() -> None:
    """Another order counts; a cancellation, the order itself, or one after 30 days does not."""
    lines = [line("1"), line("C2", 1), line("3", 20), line("4", 51)]
    assert labels(ordered_again_within_30_days, *lines) == {"1": 1, "3": 0, "4": 0}


def test_two_years_of_orders(accepted: pl.DataFrame) -> None:
    """Of 36,969 orders 33,342 are examples, and 16.8 % of them come to be cancelled in part."""
    assert run(order_shape.compute, accepted).height == 36_969
    rows = run(cancelled_within_30_days.compute, accepted)
    assert (rows.height, round(rows["label"].mean(), 3)) == (33_342, 0.168)


def test_views_do_not_depend_on_the_order_of_rows(accepted: pl.DataFrame) -> None:
    """Shuffled lines give the same features to the last bit: sums of money are whole pence."""
    some = accepted.head(50_000)
    for view in (customer_history, order_shape):
        keys = [view.entity, view.time]
        first, second = (run(view.compute, rows).sort(keys) for rows in (some, some.sample(fraction=1, shuffle=True)))
        exact = [name for name in first.columns if name not in ("bulk_share", "single_share")]
        assert first.select(exact).equals(second.select(exact))
        assert not first.select(keys).is_duplicated().any()
