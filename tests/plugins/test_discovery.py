"""What the team discovery learns from, on a few lines of orders, and what it answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from discovery import articles
from discovery.fit import ridge
from discovery.history import ARTICLES, MOST, customer_articles, next_basket, visit

from loopline.platform_core.specs import Examples

ONE, TWO, THREE = list(ARTICLES)[:3]


def line(invoice: str, code: str, when: tuple[int, int], units: int = 1, customer: int = 7) -> dict[str, Any]:
    """Write a line of an order of 2011."""
    at = datetime(2011, *when, 10, tzinfo=UTC)
    return {
        "invoice": invoice, "stock_code": code, "quantity": units, "invoiced_at": at, "price": 1.0,
        "customer_id": customer, "country": "France",
    }  # fmt: skip


LINES = [
    line("1", ONE, (3, 1)),
    line("2", TWO, (3, 20)),
    line("2", ONE, (3, 20), units=5),
    line("2", "POST", (3, 20)),
    line("C3", THREE, (3, 21), units=-1),
    line("4", THREE, (8, 25)),
    line("5", "POST", (8, 26)),
]


def run(declared: Any, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of a view or of labels, in order of time."""
    found = declared.compute(nw.from_native(pl.LazyFrame(lines))).collect()
    return nw.to_native(found).sort("invoiced_at").to_dicts()


def test_the_past_is_listed_by_how_often_and_lately() -> None:
    """Half a year of it, of the catalogue's articles, and nothing that was taken back."""
    found = [(row["invoiced_at"].month, row["ordered"]) for row in run(customer_articles, LINES)]
    assert found == [(3, [ONE]), (3, [ONE, TWO]), (8, [THREE, ONE, TWO])]


def test_a_label_is_the_articles_of_an_order() -> None:
    """Those of most units first, so many at most; an order of nothing that is in the catalogue has none."""
    found = run(next_basket, LINES)
    assert [(row["invoice"], row["basket"]) for row in found] == [("1", [ONE]), ("2", [ONE, TWO]), ("4", [THREE])]
    many = run(next_basket, [line("9", code, (5, 2), units=n) for n, code in enumerate(ARTICLES)])
    assert many[0]["basket"] == list(ARTICLES)[: -MOST - 1 : -1]
    assert articles.target.trouble(pa.chunked_array([[row["basket"] for row in found + many]])) == ""
    assert [row["abroad"] for row in run(visit, LINES)] == [1.0] * 4


@pytest.mark.parametrize("lists", [True, False])
def test_what_goes_together_is_learnt(lists: bool) -> None:
    """Who ordered one of a pair orders the other; without any past the popular ones are named."""
    random, target = np.random.default_rng(0), articles.target
    codes = list(ARTICLES)
    first = random.integers(0, 40, 300)
    table = pa.table({"ordered": [[codes[n]] if lists else None for n in first], "abroad": np.zeros(300)})
    labels = target.encoded(pa.chunked_array([[[codes[n + 40], codes[99]] for n in first]]))
    rows = Examples(np.zeros((300, 0)), labels, ("ordered", "abroad"), {}, table)
    answer = target.answer(target.predictions(ridge(rows, rows, {"drawn": 1.0}, print), table).tolist())
    assert {items[0] for items in answer["items"]} == {codes[99]}
    assert lists == all(codes[n + 40] in items[:3] for n, items in zip(first, answer["items"], strict=True))
