"""Twenty histories of data that changes its mind: raw, features, online and training sets say what anyone would."""

from __future__ import annotations

from typing import Any

import pytest

from platform_core.testing.changing_histories import HISTORIES, History, customers
from platform_core.testing.changing_shop import VIEWS, ChangingShop


def tell(shop: ChangingShop, history: History, whole_below: int = 10_000) -> None:
    """Let a history happen, and hold the shop against the truth after each of its hours."""
    names = customers(history)
    for hour, steps in history:
        shop.at(hour, *steps, whole_below=whole_below)
        for view in VIEWS:
            wanted = shop.truth.newest(view.name, hour)
            assert {name: row and row[0] for name, row in shop.online(view, names).items()} == {
                name: wanted.get(name) for name in names
            }, f"{view.name} at {hour}"
        made = shop.pin()
        found = set() if made is None else examples(shop.rows(made))
        assert found == shop.truth.examples(hour), f"training set at {hour}"
    for made, rows in shop.pins:
        assert shop.rows(made).equals(rows)


def examples(rows: Any) -> set[tuple[Any, ...]]:
    """Return training rows as the truth tells them."""
    from platform_core.testing.engine_tables import at

    begin = at(0)
    return {
        (r["customer"], (r["event_time"] - begin).total_seconds() / 3600, r["spend"], r["bought"], r["label"])
        for r in rows.to_pylist()
    }


@pytest.mark.parametrize("name", HISTORIES)
def test_a_history_on_polars(opened: Any, name: str) -> None:
    """Computed whole at each hour."""
    tell(opened(), HISTORIES[name])


@pytest.mark.parametrize("name", HISTORIES)
def test_a_history_by_increments(opened: Any, name: str) -> None:
    """Computed of touched entities only, as far as the trial lets."""
    tell(opened(), HISTORIES[name], whole_below=0)
