"""Rows of an API land: what comes back holds again, and what no parser takes or is lost is told and costs no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline.platform_core.ingestion.current_rows import holding
from loopline.platform_core.ingestion.inbox import Inbox
from loopline.platform_core.ingestion.landed import Landed
from loopline.platform_core.ingestion.landing import land
from loopline.platform_core.ingestion.letters import refusals
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Source, Team
from loopline.resources.http.event_source import HttpEventSource
from tests.platform_core.homes import opened
from tests.repeats import draws
from tests.resources.http.api import TOKEN, Api, served

CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: prices
version: 1.0.0
schema:
  - name: prices
    properties:
      - {name: article, logicalType: string, primaryKey: true}
      - {name: price, logicalType: number, required: true}
"""
PRICES = Source("prices", "prices.yaml")


@dataclass
class Shop:
    """A team whose prices are asked for; another process asks each time."""

    platform: Platform
    team: Team
    api: Api
    feed: dict[str, str]

    def lands(self, *answer: list[tuple[str, list[Any]]]) -> Landed:
        """Let the API have other pages, and land what is new."""
        if answer:
            [self.api.feeds["/prices"]] = answer
        landing = str(self.team.folder / "landing")
        events = HttpEventSource.model_validate(
            {"landing": landing, "feeds": {"shop/prices": self.feed}, "look_seconds": 0, "token": TOKEN}
        )
        self.platform.environment.bindings["event_source"] = events  # type: ignore[index]
        return land(self.platform, self.team, PRICES)

    def hold(self) -> dict[str, float]:
        """Return what holds."""
        rows = holding(self.platform.lake.read("shop/raw/prices"), ("article",))
        return dict(zip(rows["article"].to_pylist(), rows["price"].to_pylist(), strict=True))


Open = Callable[..., Shop]


@pytest.fixture
def opened_shop(tmp_path: Path) -> Iterator[Open]:
    """Open shops of one API."""
    (tmp_path / "prices.yaml").write_text(CONTRACT)
    platform = opened(tmp_path, datetime.now(UTC))
    with served(Api()) as api:
        yield lambda **feed: Shop(
            platform, Team("shop", tmp_path), api, {"url": f"{api.url}/prices", "rows": "data"} | feed
        )
    platform.close()


def _pages(*pages: dict[str, Any]) -> list[tuple[str, list[Any]]]:
    return [("", [{"article": name, "price": price} for name, price in page.items()]) for page in pages]


def test_a_price_that_comes_back_holds_again(opened_shop: Open) -> None:
    """A, B, A: the third answer is an arrival of its own, though the first one was the same."""
    shop = opened_shop()
    for price in (10, 99, 10, 99, 10):
        assert shop.lands(_pages({"hat": price, "cap": 5})).arrivals == 1
        assert shop.lands().arrivals == 0
        assert shop.hold() == {"hat": price, "cap": 5}


def test_a_page_that_is_lost_before_it_landed_is_a_refused_file(opened_shop: Open) -> None:
    """The others land; once it is restored and tried again, it does."""
    shop = opened_shop(next="paging.next")
    shop.lands(_pages({}))
    shop.api.feeds["/prices"] = _pages({"hat": 1}, {"cap": 2}, {"tie": 3})
    shop.platform.event_source.arrivals("shop/prices")
    page = sorted(Path(shop.platform.event_source.place("shop/prices"), "pages").iterdir())[1]
    kept = page.read_bytes()
    page.unlink()
    landed = shop.lands()
    [refused] = landed.refused
    assert (landed.rows, refused.name, shop.hold()) == (2, page.name, {"hat": 1, "tie": 3})
    assert f"pages/{page.name} is gone" in refused.problem
    assert f"dead-letters retry shop/prices {page.name}" in refused.fix
    assert shop.lands().refused == ()
    page.write_bytes(kept)
    refusals.decide(Inbox.of(shop.platform, shop.team, PRICES), page.name, "retry", "ada", "restored")
    assert shop.lands().rows == 1
    assert shop.hold() == {"hat": 1, "cap": 2, "tie": 3}


@pytest.mark.parametrize("odd", ['"\\ud800"', "[" * 2_000 + "]" * 2_000], ids=["half a character", "deep"])
def test_a_row_that_no_parser_takes_is_a_dead_letter(odd: str, opened_shop: Open) -> None:
    """The other rows of its page land."""
    shop = opened_shop()
    answer = '{"data": [{"article": "hat", "price": 1}, {"article": %s, "price": 2}, {"article": "tie", "price": 3}]}'
    shop.api.answers = lambda *_: (200, (answer % odd).encode(), {})
    landed = shop.lands(_pages())
    assert (landed.rows, landed.dead, dict(landed.reasons)) == (2, 1, {"row.malformed": 1})
    assert shop.hold() == {"hat": 1, "tie": 3}


def test_of_two_changes_of_a_key_in_one_page_the_later_holds(opened_shop: Open) -> None:
    """A page of a feed that leads on is in the order of what happened."""
    changes = [("", [{"article": "hat", "price": 50}, {"article": "cap", "price": 7}, {"article": "hat", "price": 99}])]
    shop = opened_shop(next="paging.next")
    assert shop.lands(changes).rows == 3
    assert shop.hold() == {"hat": 99, "cap": 7}


def test_a_page_without_an_order_names_a_key_once(opened_shop: Open) -> None:
    """Nobody knows which of the two is meant."""
    shop = opened_shop()
    landed = shop.lands([("", [{"article": "hat", "price": 50}, {"article": "hat", "price": 99}])])
    assert (landed.rows, dict(landed.reasons)) == (0, {"article.unique": 2})


states = st.lists(st.dictionaries(st.sampled_from(["hat", "cap", "tie"]), st.integers(1, 3), min_size=1), max_size=7)


@draws(10)
@given(states=states)
def test_pages_that_revert_hold_as_the_api_says(opened_shop: Open, states: list[dict[str, int]]) -> None:
    """Whatever is changed, left out and put back: of each article the price holds that the API said last."""
    shop, said = opened_shop(), dict[str, float]()
    for prices in states:
        shop.lands(_pages(prices))
        assert shop.lands().rows == 0
        said |= prices
        assert said.items() <= shop.hold().items()
