"""How heavy each page is: elements, bytes before the first paint, bytes in all. What Lighthouse finds slow is here."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from fastapi.testclient import TestClient

from benchmarks.portal.serve import pages_of
from loopline.portal.app import create_app
from loopline.stories.portal_home import portal_home

HOST, MODELS = "http://localhost", 60
ELEMENTS = 1_200
BLOCKING_BYTES, PAGE_BYTES = 6_000, 40_000
"""Packed: what stands between an answer and its first paint beside itself, and all that a page fetches by itself."""


class Sheet(HTMLParser):
    """Elements of a page, what it fetches, and what of that the first paint waits for."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements = 0
        self.fetched: set[str] = set()
        self.blocking: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Count an element."""
        self.elements += 1
        given = dict(attrs)
        address = given.get("href") if tag == "link" else given.get("src")
        if not address:
            return
        self.fetched.add(address)
        deferred = {"defer", "async"} & set(given) or given.get("type") == "module"
        if (tag == "link" and given.get("rel") == "stylesheet") or (tag == "script" and not deferred):
            self.blocking.add(address)


class Weights:
    """A portal, asked for the weight of its pages."""

    def __init__(self, portal: TestClient, pages: dict[str, str]) -> None:
        self.portal, self.pages = portal, pages

    def of(self, path: str) -> tuple[int, int, int]:
        """Return the elements of a page, blocking bytes, and all bytes."""
        text = self.portal.get(path, headers={"accept": "text/html"}).text
        sheet = Sheet(text)
        everything = len(gzip.compress(text.encode())) + self._bytes(sheet.fetched)
        return sheet.elements, self._bytes(sheet.blocking), everything

    def _bytes(self, addresses: set[str]) -> int:
        return sum(len(gzip.compress(self.portal.get(address).content)) for address in addresses)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weights]:
    """Make the home that the benchmarks of pages look at."""
    home = portal_home(tmp_path_factory.mktemp("weight"), light=MODELS)
    yield Weights(TestClient(create_app(home.platform, home.teams), HOST), pages_of(home, MODELS))
    home.close()


def test_every_page_is_light(weights: Weights) -> None:
    """Few elements, little to wait for, little to fetch: also where a picture stands first."""
    heavy = {name: found for name, path in weights.pages.items() if _heavy(*(found := weights.of(path)))}
    assert heavy == {}


def _heavy(elements: int, blocking: int, everything: int) -> bool:
    return elements > ELEMENTS or blocking > BLOCKING_BYTES or everything > PAGE_BYTES


@pytest.mark.parametrize(
    ("head", "blocking"),
    [
        ('<script src="a.js"></script>', {"a.js"}),
        ('<script src="a.js" defer></script>', set()),
        ('<link rel="stylesheet" href="a.css">', {"a.css"}),
        ('<link rel="icon" href="a.svg">', set()),
    ],
)
def test_what_a_first_paint_waits_for_is_seen(head: str, blocking: set[str]) -> None:
    """A script without ``defer`` and a stylesheet hold it; the weight would not grow otherwise."""
    assert Sheet(head).blocking == blocking
