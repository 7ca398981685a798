"""What a site tells of itself, and that it shows when it no longer does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo

import pytest
from sqlalchemy import update

from loopline.platform_core.errors import NotFound, StoreUnavailable
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.sites import heartbeats, site_redaction
from loopline.platform_core.platform import Platform
from loopline.platform_core.sites import Sites
from loopline.watchdog.look import Bounds
from loopline.watchdog.loop_looks import LoopLooks
from tests.platform_core.loop.conftest import Loop

REF = ModelRef("shop_at_eu", "returns")
T0 = datetime(2024, 5, 1, tzinfo=UTC)


@pytest.fixture
def at_site(loop: Loop) -> Platform:
    """Make a platform of a site."""
    platform = loop.platform
    platform.environment = replace(platform.environment, site="eu", sites=Sites(("eu", "us"), {"shop": ("eu",)}))
    return platform


def test_the_newest_word_of_each_model_is_kept(at_site: Platform) -> None:
    """A second look changes the row; what is in the lake is never told to be less than before."""
    heartbeats.looked(at_site, [(REF, 3), (ModelRef("shop_at_eu", "other"), 0)])
    heartbeats.brought(at_site, REF, 3, T0)
    heartbeats.brought(at_site, REF, 1, T0 - timedelta(hours=1))
    heartbeats.brought(at_site, REF, 0, None)
    heartbeats.looked(at_site, [(REF, 2)])
    told = {one.ref.model: one for one in heartbeats.told(at_site.ledger)}
    assert set(told) == {"returns", "other"}
    assert (told["returns"].site, told["returns"].waiting, told["returns"].until) == ("eu", 2, T0)
    assert not told["returns"].silent(datetime.now(UTC))
    assert told["returns"].silent(datetime.now(UTC) + timedelta(minutes=3))


def test_the_same_is_not_told_again_at_once(at_site: Platform) -> None:
    """A look each three seconds writes nothing most of the time."""
    heartbeats.looked(at_site, [(REF, 3)])
    [before] = heartbeats.told(at_site.ledger)
    heartbeats.looked(at_site, [(REF, 3)])
    assert heartbeats.told(at_site.ledger) == [before]


@pytest.mark.parametrize("skew", [timedelta(hours=1), timedelta(minutes=-3)])
def test_a_site_is_seen_by_the_clock_of_the_ledger(
    skew: timedelta, at_site: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the site's own says: silent two minutes after it was last heard of, and not before."""

    class Skewed(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime.now(tz) + skew

    monkeypatch.setattr(heartbeats, "datetime", Skewed)
    heartbeats.looked(at_site, [(REF, 3)])
    [told] = heartbeats.told(at_site.ledger)
    assert abs(told.seen_at - datetime.now(UTC)) < timedelta(minutes=1)
    heartbeats.brought(at_site, REF, 3, T0)
    [told] = heartbeats.told(at_site.ledger)
    now = heartbeats.now_at(at_site.ledger)
    assert (told.silent(now), told.silent(now + timedelta(minutes=3))) == (False, True)


def test_a_site_that_was_seen_ahead_of_now_tells_it_anew(at_site: Platform) -> None:
    """As one of which an earlier release wrote its own time down."""
    heartbeats.looked(at_site, [(REF, 3)])
    ahead = heartbeats.now_at(at_site.ledger) + timedelta(hours=1)
    with at_site.ledger.writing() as connection:
        connection.execute(update(tables.site_looks).values(seen_at=ahead))
    heartbeats.looked(at_site, [(REF, 3)])
    [told] = heartbeats.told(at_site.ledger)
    assert told.seen_at < ahead


def test_the_control_plane_tells_nothing(at_site: Platform) -> None:
    """Where there are no sites, nothing is written, and words are told as they are."""
    at_site.environment = replace(at_site.environment, site="")
    heartbeats.looked(at_site, [(REF, 3)])
    heartbeats.brought(at_site, REF, 3, T0)
    assert heartbeats.told(at_site.ledger) == []
    assert site_redaction.told(at_site, "a file", "its words") == "its words"
    assert not site_redaction.file(at_site).parent.exists()


def test_a_ledger_that_is_away_keeps_no_row_from_the_lake(at_site: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows are there; that they are is told with the next look."""

    def away(*_: object) -> None:
        raise StoreUnavailable("the ledger did not answer", "wait")

    monkeypatch.setattr(heartbeats, "told", away)
    heartbeats.brought(at_site, REF, 3, T0)


def test_the_watchdog_tells_of_a_site_that_is_silent(at_site: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of that one alone, and of no endpoint that is elsewhere; a site that is no more is not missed."""
    heartbeats.looked(at_site, [(REF, 3)])
    at_site.environment = replace(at_site.environment, site="")
    looks = LoopLooks(at_site, Bounds())
    assert looks.sites().alarms == ()
    monkeypatch.setattr(heartbeats, "SILENT", timedelta(0))
    [alarm] = looks.sites().alarms
    assert alarm.cause == "site:eu"
    at_site.environment = replace(at_site.environment, sites=Sites())
    assert looks.sites().alarms == ()


def test_what_is_said_of_rows_stays_at_the_site(at_site: Platform) -> None:
    """Who reads the ledger is told what it is about, and where the words are; an error keeps its kind of sentence."""
    said = site_redaction.told(at_site, "orders.csv is refused", "column\n'Jane Doe' is unknown")
    error = site_redaction.error_told(at_site, "view v fails", NotFound("no 'Jane Doe'", "look"))
    assert "Jane" not in f"{said}{error}"
    assert said.startswith("orders.csv is refused: said in withheld/eu.log")
    lines = site_redaction.file(at_site).read_text().splitlines()
    assert [line.partition(" ")[2] for line in lines] == [
        "orders.csv is refused: column 'Jane Doe' is unknown",
        "view v fails: no 'Jane Doe' → look",
    ]
