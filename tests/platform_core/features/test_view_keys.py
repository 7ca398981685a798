"""A view whose entity or time is no column of its source is refused with all that is missing, by its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.testing.engines.engine_tables import spending
from loopline.stories.shop import Shop

BOTH = "feature view 'spending': its source 'orders' has no column 'buyer' (entity), 'bought' (time)"


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"entity": "buyer", "time": "bought"}, BOTH),
        ({"time": "bought"}, "feature view 'spending': its source 'orders' has no column 'bought' (time)"),
    ],
)
def test_what_is_missing_is_named_at_once(shop_of: Callable[..., Shop], wrong: dict[str, str], problem: str) -> None:
    """Also where the function would have made the column: rows are ordered by it before."""
    view = replace(spending, **wrong)
    shop = shop_of(view)
    shop.land((1, 0, 1, 2.0, "a"))
    with pytest.raises(InvalidSpec) as refused:
        shop.turn(2, view=view)
    assert refused.value.problem == problem
    assert "must be columns of its source: name two of customer, " in refused.value.fix
    assert "_arrived_at" not in refused.value.fix


def test_a_function_that_drops_a_key_is_told_so(shop_of: Callable[..., Shop]) -> None:
    """Source and function are told apart: what is missing behind the function is not mended in the contract."""
    view = replace(spending, compute=lambda rows: spending.compute(rows).drop(spending.entity, spending.time))
    shop = shop_of(view)
    shop.land((1, 0, 1, 2.0, "a"))
    with pytest.raises(InvalidSpec, match=r"rows that feature view 'spending' returns: no column '.*', '.*' → use one"):
        shop.turn(2, view=view)
