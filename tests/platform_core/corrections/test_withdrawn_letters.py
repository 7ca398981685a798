"""Letters of an arrival that is taken back do not land behind its back."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from loopline.platform_core.errors import Refused
from loopline.platform_core.ingestion.letters.dead_letters import dead_letters, replay
from loopline.stories.changing_shop import VIEWS, Order, came, put_back, taken_back

BAD, OTHER = Order(1, 1, 2, -5), Order(2, 2, 3, -7)


def _args(shop: Any) -> tuple[Any, ...]:
    return shop.platform, shop.team, shop.sources["orders"]


def _mend(shop: Any, amount: str, arrival: str) -> pa.Table:
    letters = [one for one in dead_letters(*_args(shop)).to_pylist() if one["name"].startswith(arrival)]
    return pa.table({"letter_id": [one["letter_id"] for one in letters], "amount": [amount] * len(letters)})


def test_a_mended_letter_of_a_withdrawn_arrival_is_refused(opened: Any) -> None:
    """With the way out; nothing lands, and the letter stays open until the arrival holds again."""
    shop = opened()
    shop.bring(10, came("f1", BAD, Order(3, 3, 4, 9)), came("f2", OTHER))
    shop.bring(20, taken_back("f1"))
    before, mended = shop.platform.lake.version("shop/raw/orders"), _mend(shop, "5", "f1")
    for rows in (mended, pa.concat_tables([mended, _mend(shop, "7", "f2")])):
        with pytest.raises(Refused, match="withdrawn, such as f1") as refused:
            replay(*_args(shop), rows, by="me")
        assert "loopline arrivals restore shop/orders f1" in refused.value.fix
    assert (shop.platform.lake.version("shop/raw/orders"), len(dead_letters(*_args(shop)))) == (before, 2)
    shop.bring(30, put_back("f1"))
    assert replay(*_args(shop), mended, by="me").replayed == 1
    shop.at(40)
    assert shop.online(VIEWS[0], [1]) == {1: (5.0,)}


def test_a_replay_of_all_leaves_them_out(opened: Any) -> None:
    """It says how many; where there are no others it is refused, and does not look as if it had mended them."""
    shop = opened()
    shop.bring(10, came("f1", BAD), came("f2", OTHER))
    shop.bring(20, taken_back("f1"))
    contract = shop.folder / "orders.yaml"
    contract.write_text(contract.read_text().replace("minimum: 0", "minimum: -10"))
    done = replay(*_args(shop))
    assert (done.replayed, done.still_dead, done.withdrawn) == (1, 0, 1)
    assert len(dead_letters(*_args(shop))) == 1
    with pytest.raises(Refused, match="1 of these letters"):
        replay(*_args(shop))
    shop.bring(30, put_back("f1"))
    assert replay(*_args(shop)).replayed == 1
