"""What lands is told to the ledger once, whoever is killed, and whoever else lands at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.ingestion import landing, landing_line
from loopline.platform_core.ingestion.inbox import Inbox
from loopline.platform_core.ingestion.landing import land
from loopline.platform_core.ingestion.letters.dead_letters import replay
from loopline.platform_core.ingestion.letters.letter_tally import Tallies
from loopline.platform_core.loop.ledger.entry_kinds import LANDED
from loopline.resources.delta.lake import DeltaLake
from tests.platform_core.ingestion.conftest import Killed


@pytest.fixture
def shop(shop: Any, tmp_path: Path) -> Any:
    """Land on Delta tables."""
    return shop.on(DeltaLake(root=str(tmp_path / "lake")))


def _sums(shop: Any) -> tuple[int, int, int, dict[str, int]]:
    lines = [entry.details for entry in shop.entries(LANDED)]
    reasons: dict[str, int] = {}
    for line in lines:
        for reason, count in line["reasons"].items():
            reasons[reason] = reasons.get(reason, 0) + count
    arrivals, rows, dead = (sum(line[name] for line in lines) for name in ("arrivals", "rows", "dead"))
    return arrivals, rows, dead, reasons


def _open(shop: Any) -> int:
    [tally] = Tallies().newest(shop.platform.ledger)
    return int(tally.open)


def _deliver(shop: Any, first: int, last: int) -> None:
    for number in range(first, last):
        shop.deliver(f"{number}", f"7,{number + 1},", f"8,{number + 2},", "7,0,", hours=number / 100)


def _killed(shop: Any) -> None:
    """Land, and die before the line is written."""

    def dies(*_: object) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(landing, "record_landing", dies)
        with pytest.raises(Killed):
            land(*shop.args)


def test_a_landing_that_dies_before_its_line_is_told_by_the_next(shop: Any) -> None:
    """Also when nothing new has arrived; and it is told once."""
    _deliver(shop, 0, 1)
    land(*shop.args)
    _deliver(shop, 1, 4)
    _killed(shop)
    assert _sums(shop)[:3] == (1, 2, 1)
    for _ in range(2):
        land(*shop.args)
        assert _sums(shop) == (4, 8, 4, {"price.minimum": 4})
    assert _open(shop) == 4


def test_a_ledger_that_is_away_behind_the_commit_is_told_later(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The landing fails, and nothing of it is untold in the end."""
    _deliver(shop, 0, 2)
    with monkeypatch.context() as patch:

        def away(*_: object, **__: object) -> None:
            raise StoreUnavailable("away", "wait")

        patch.setattr(Inbox, "record", away)
        with pytest.raises(StoreUnavailable):
            land(*shop.args)
    assert shop.entries(LANDED) == []
    _deliver(shop, 2, 3)
    land(*shop.args)
    assert _sums(shop) == (3, 6, 3, {"price.minimum": 3})


def test_landings_at_once_land_each_row_once_and_are_told_once(shop: Any) -> None:
    """Rows land once and are counted once, letters too, on tables that several processes may write."""
    _deliver(shop, 0, 12)
    with ThreadPoolExecutor(3) as pool:
        for each in [pool.submit(land, *shop.args) for _ in range(3)]:
            each.result()
    land(*shop.args)
    assert shop.prices() == sorted([*range(1, 13), *range(2, 14)])
    assert len(shop.rows("shop/dead_letters/orders")) == 12
    assert _sums(shop) == (12, 24, 12, {"price.minimum": 12})


def test_two_that_tell_the_same_tell_it_once(shop: Any) -> None:
    """A landing that finds its rows told by another, which landed and told meanwhile, tells nothing."""
    _deliver(shop, 0, 2)
    inbox = Inbox.of(*shop.args)
    began = landing_line.reached(inbox)
    landed = land(*shop.args)
    landing_line.record_landing(inbox, landed, began, {}, "arrivals")
    assert _sums(shop)[1:3] == (4, 2)


def test_a_replay_that_nobody_told_of_opens_no_letter_below_none(shop: Any) -> None:
    """A killed landing's letters are replayed before its line is written: they are replayed letters, not rows twice."""
    _deliver(shop, 0, 2)
    _killed(shop)
    shop.contract("1.1.0", low=0)
    assert replay(*shop.args).replayed == 2
    land(*shop.args)
    assert _sums(shop)[1:3] == (4, 2)
    assert _open(shop) == 0
