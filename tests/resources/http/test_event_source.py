"""Rows of an API as arrivals: the kits, each taken once, and what the API says when it does not give them."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from loopline.platform_core.errors import ContractBroken, InvalidEnvironment, NotFound, Overloaded, StoreUnavailable
from loopline.platform_core.testing.credentials import CredentialsKit
from loopline.platform_core.testing.event_source import EventSourceKit
from loopline.platform_core.testing.parts.ports import free_port
from loopline.resources.http import asking, taking
from loopline.resources.http.event_source import HttpEventSource
from loopline.resources.http.feeds import Feed
from loopline.resources.taking.page_log import PageLog
from loopline.resources.taking.page_store import FolderShelf
from tests.emulators import faults
from tests.resources.http.api import TOKEN, Api, ApiDelivery, served
from tests.resources.tables.deaths import Died, dying

FEED = {"rows": "data", "next": "paging.next", "known_at": "known_at"}
Make = Callable[..., HttpEventSource]


@pytest.fixture
def api() -> Iterator[Api]:
    """Serve an API."""
    with served(Api()) as api:
        yield api


@pytest.fixture
def make(api: Api, tmp_path: Path) -> Make:
    """Make sources of it, as several processes would; ``feed`` changes what is said of shop/orders."""

    def made(**more: Any) -> HttpEventSource:
        feed = {**FEED, "url": f"{api.url}/orders"} | more.pop("feed", {})
        given = {
            "landing": str(tmp_path / "landing"),
            "feeds": {"shop/orders": feed},
            "look_seconds": 0,
            "token": TOKEN,
        }
        return HttpEventSource.model_validate(given | more)

    return made


def taken(events: HttpEventSource) -> list[str | None]:
    """Return the ids of all that arrived, page by page."""
    found = events.arrivals("shop/orders")
    return [value for arrival in found for value in events.read("shop/orders", arrival)["id"].to_pylist()]


class _Feeds(dict[str, Feed]):
    """A feed for each of the kit's sources."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def __contains__(self, source: object) -> bool:
        return True

    def __missing__(self, source: str) -> Feed:
        return Feed(url=f"{self.api.url}/{source}", **FEED)


class TestHttpEventSource(EventSourceKit):
    """Every promise."""

    tested_on = "strict fake: an API of the tests' own, over HTTP"

    @pytest.fixture
    def events(self, make: Make, api: Api) -> HttpEventSource:
        """Give a source that has a feed for whatever the kit calls its sources."""
        events = make()
        events.feeds = _Feeds(api)
        return events

    @pytest.fixture
    def deliver(self, api: Api) -> ApiDelivery:
        """Add pages there."""
        return ApiDelivery(api)


class TestWrongToken(CredentialsKit):
    """The API asks for a token."""

    @pytest.fixture
    def stranger(self, make: Make, api: Api, wrong_secret: str) -> HttpEventSource:
        """Open a source with it; the same one with the right token is let in."""
        api.feeds["/orders"] = []
        feeds = {"kit/x": {**FEED, "url": f"{api.url}/orders"}}
        assert make(feeds=feeds).arrivals("kit/x") == []
        return make(feeds=feeds, token=wrong_secret)


@pytest.mark.parametrize("secret", ["mel\nlon", "melløn"])
def test_a_token_that_no_header_can_hold_is_not_shown(secret: str, make: Make) -> None:
    """The client's own words would show it."""
    with pytest.raises(InvalidEnvironment, match="on one line") as refused:
        make(token=secret).arrivals("shop/orders")
    assert "mel" not in str(refused.value)


def pages(*pages: list[int]) -> list[tuple[str, list[Any]]]:
    """Make pages of rows with these ids."""
    return [("", [{"id": each} for each in page]) for page in pages]


@pytest.mark.parametrize("feed", [{}, {"next": ""}, {"next": "data.-1.id", "cursor": "after"}])
def test_it_goes_on_where_it_stopped(feed: dict[str, str], api: Api, make: Make) -> None:
    """By a cursor, by the header Link, and by the last row's own id; a page is asked for once, but for the last."""
    if feed.get("cursor"):
        api.answer = _after(api)  # type: ignore[method-assign]
    api.feeds["/orders"] = pages([1, 2], [3])
    assert taken(make(feed=feed)) == ["1", "2", "3"]
    before = len(api.asked)
    api.feeds["/orders"] = pages([1, 2], [3, 4], [5])
    assert taken(make(feed=feed)) == ["1", "2", "3", "4", "5"]
    assert "/orders" not in api.asked[before:]


def _after(api: Api) -> Callable[[str, str], Any]:
    """Answer two rows behind an id, of all pages."""

    def answer(path: str, token: str) -> tuple[int, bytes, dict[str, str]]:
        api.asked.append(path)
        rows = [row for _, page in api.feeds["/orders"] for row in page]
        behind = [row for row in rows if row["id"] > int(path.partition("after=")[2] or 0)]
        return 200, json.dumps({"data": behind[:2]}).encode(), {}

    return answer


def test_rows_stay_as_they_are_written(api: Api, make: Make) -> None:
    """Numbers too; what is no object is a dead letter; a row that is there twice comes twice."""
    odd = b'{"id": "\\u00f8\\n"}'
    body = b'{"data": [{"id": 1.50,\n "big": 12345678901234567890, "no": null}, 7, %b, %b]}' % (odd, odd)
    api.feeds["/orders"] = pages([])
    api.answers = lambda *_: (200, body, {})
    events = make()
    [arrival] = events.arrivals("shop/orders")
    assert events.read("shop/orders", arrival).to_pydict() == {
        "id": ["1.50", None, "ø\n", "ø\n"],
        "big": ["12345678901234567890", None, None, None],
        "no": [None] * 4,
        "_line": [1, 2, 3, 4],
        "_malformed": [None, "7", None, None],
    }


def test_a_cursor_is_sent_as_it_is_written(api: Api, make: Make) -> None:
    """Longer than any number of ours, with signs that URLs quote; ``null``, ``false`` and an empty text are none."""
    api.feeds["/orders"] = []
    cursors = iter(["12345678901234567890123", '"a/b=&+ \\u00f8"', "false"])
    api.answers = lambda *_: (200, b'{"data": [{"id": 1}], "paging": {"next": %s}}' % next(cursors).encode(), {})
    assert taken(make()) == ["1", "1", "1"]
    assert api.asked == ["/orders", "/orders?cursor=12345678901234567890123", "/orders?cursor=a%2Fb%3D%26%2B+%C3%B8"]
    for nothing in (b'{"data": null}', b'{"data": [], "paging": {"next": ""}}'):
        api.answers = lambda *_, nothing=nothing: (200, nothing, {})
        assert taken(make()) == ["1", "1", "1"]


def test_what_begins_with_a_list_is_rows(api: Api, make: Make) -> None:
    """``rows`` may be left out."""
    api.feeds["/orders"] = []
    api.answers = lambda *_: (200, b'[{"id": 1}]', {})
    assert taken(make(feed={"rows": "", "next": ""})) == ["1"]


@pytest.mark.parametrize("key", ["pages/", "log/"])
@pytest.mark.parametrize("is_written", [False, True])
def test_who_dies_while_taking_loses_and_doubles_nothing(
    key: str, is_written: bool, api: Api, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before or behind each of a page's two files."""
    api.feeds["/orders"] = pages([1, 1], [1], [2, 3])
    for number in (1, 2, 3):
        with dying(monkeypatch, key, number, is_written=is_written), pytest.raises(Died):
            make().arrivals("shop/orders")
    assert taken(make()) == ["1", "1", "1", "2", "3"]


@pytest.mark.parametrize("key", ["pages/", "answers/", "log/"])
@pytest.mark.parametrize("is_written", [False, True])
def test_who_dies_while_taking_a_page_that_changes_loses_and_doubles_nothing(
    key: str, is_written: bool, api: Api, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before or behind each of its files: its rows, what was answered, and its piece of the log."""
    for number, answer in enumerate(([1, 2], [1], [1, 2], [2, 3]), 1):
        api.feeds["/orders"] = pages(answer)
        with dying(monkeypatch, key, number, is_written=is_written), suppress(Died):
            make().arrivals("shop/orders")
        make().arrivals("shop/orders")
    assert taken(make()) == ["1", "2", "2", "3"]


@pytest.mark.parametrize(
    ("answers", "wanted"),
    [
        ([[10], [99], [10], [99], [10]], [10, 99, 10, 99, 10]),
        ([[1], [1, 2], [1, 2, 3]], [1, 2, 3]),
        ([[1, 2, 3], [2, 3, 4], [4, 5, 1]], [1, 2, 3, 4, 5, 1]),
        ([[1, 2], [1], [1, 2], [], [2]], [1, 2, 2, 2]),
        ([[1, 1], [1], [2, 1, 1, 1]], [1, 1, 2, 1, 1]),
    ],
    ids=["how it is now", "it grows", "the latest", "rows go", "the same twice"],
)
def test_what_a_page_has_beyond_its_answer_before_is_new(
    answers: list[list[int]], wanted: list[int], api: Api, make: Make, tmp_path: Path
) -> None:
    """Each row once while it stays, again once it was gone; all are arrivals of their own."""
    for answer in answers:
        api.feeds["/orders"] = pages(answer)
        for _ in range(2):
            make().arrivals("shop/orders")
    events = make()
    assert taken(events) == [*map(str, wanted)]
    found = events.arrivals("shop/orders")
    assert len({each.arrival_id for each in found} | {each.content for each in found}) == len(found)
    assert len([*tmp_path.rglob("answers/*")]) == 1


def test_an_answer_that_another_process_overtook_is_forgotten(api: Api, make: Make) -> None:
    """It shows how things were before the other one's."""
    api.feeds["/orders"] = pages([1])
    slow, other = make(), make()
    slow.arrivals("shop/orders")

    def overtaken(*given: Any) -> Any:
        api.answers = lambda *given: given
        other.arrivals("shop/orders")
        api.feeds["/orders"] = pages([1])
        other.arrivals("shop/orders")
        return given

    api.feeds["/orders"], api.answers = pages([1, 2]), overtaken
    slow.arrivals("shop/orders")
    assert taken(slow) == taken(other) == ["1", "2"]


def test_who_finds_the_last_answer_replaced_asks_nothing(api: Api, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process took a page since; what it took is listed by the next look."""
    api.feeds["/orders"] = pages([1])
    slow = make()
    slow.arrivals("shop/orders")
    caught_up = PageLog.catch_up

    def overtaken(log: PageLog) -> None:
        caught_up(log)
        monkeypatch.undo()
        api.feeds["/orders"] = pages([2])
        make().arrivals("shop/orders")
        api.asked.clear()

    monkeypatch.setattr(PageLog, "catch_up", overtaken)
    assert len(slow.arrivals("shop/orders")) == 1
    assert api.asked == []
    assert taken(slow) == ["1", "2"]


def test_a_log_of_which_no_answer_is_kept_goes_on(api: Api, make: Make, tmp_path: Path) -> None:
    """As earlier versions wrote it, or where the file was lost: nothing of what was taken comes again."""
    for answer in ([1], [1, 2], [1, 2, 3]):
        api.feeds["/orders"] = pages(answer)
        make().arrivals("shop/orders")
    for kept in tmp_path.rglob("answers/*"):
        kept.unlink()
    assert taken(make()) == ["1", "2", "3"]
    for answer in ([1], [1, 3]):
        api.feeds["/orders"] = pages(answer)
        make().arrivals("shop/orders")
    assert taken(make()) == ["1", "2", "3", "3"]


def test_a_look_reads_no_more_with_a_history(api: Api, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a feed whose one page changes each time: the last answer and the next number, however many came before."""
    read: list[str] = []
    reads = FolderShelf.read
    monkeypatch.setattr(FolderShelf, "read", lambda self, key: read.append(key) or reads(self, key))
    events, counts = make(), set()
    for number in range(40):
        api.feeds["/orders"] = pages([number])
        read.clear()
        events.arrivals("shop/orders")
        counts.add(len(read))
        assert not [key for key in read if "/pages/" in key]
    assert counts == {2}


@pytest.mark.parametrize(("feed", "is_so"), [({}, True), ({"next": ""}, True), ({"next": "", "rows": "other"}, False)])
def test_pages_that_lead_on_are_in_order(feed: dict[str, str], is_so: bool, api: Api, make: Make) -> None:
    """They say what happened; a page without a next one says how things are."""
    api.feeds["/orders"] = pages([1], [2])
    if not is_so:
        api.answers = lambda *_: (200, b'{"other": [{"id": 1}]}', {})
    assert {arrival.in_order for arrival in make(feed=feed).arrivals("shop/orders")} == {is_so}


@pytest.mark.parametrize(
    "odd",
    [
        b'{"id": "\\ud800"}',
        b'{"id": "a\xff"}',
        b'{"id": %b}' % (b"[" * 2_000 + b"]" * 2_000),
        b'{"id": 1,\x0c "x": "]},"}',
        b'{"id": NaN}',
        b'{"id": "\\x"}',
    ],
    ids=["half a character", "no UTF-8", "deep", "form feed", "NaN", "escape"],
)
def test_a_row_that_no_parser_takes_costs_no_other(odd: bytes, api: Api, make: Make) -> None:
    """It is malformed, as a stream's record is; what stands around it is read, before and behind."""
    body = b'{"data": [{"id": "a\\"]"}, %b, {"id": 3}], "paging": {"next": null}, "known_at": "2026-01-01"}' % odd
    api.feeds["/orders"] = []
    api.answers = lambda *_: (200, body, {})
    events = make()
    [arrival] = events.arrivals("shop/orders")
    rows = events.read("shop/orders", arrival).to_pydict()
    assert (rows["id"], rows["_line"]) == (['a"]', None, "3"], [1, 2, 3])
    assert [rows["_malformed"][n] is None for n in range(3)] == [True, False, True]
    assert arrival.arrived_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert taken(make()) == ['a"]', None, "3"]


@pytest.mark.parametrize("known_at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_a_time_that_is_none_in_utc_stops_nothing(known_at: str, api: Api, make: Make) -> None:
    """It is bounded: a page is known no earlier than the one before it, and no later than when it is taken."""
    before = "2026-01-01T00:00:00+00:00"
    api.feeds["/orders"] = [(before, [{"id": 1}]), (known_at, [{"id": 2}]), (before, [{"id": 3}])]
    assert taken(make()) == ["1", "2", "3"]
    times = [arrival.arrived_at for arrival in make().arrivals("shop/orders")]
    assert times == sorted(times)
    assert times[0] == datetime.fromisoformat(before)
    assert times[-1] <= datetime.now(UTC)


def test_pages_without_rows_are_passed_over(api: Api, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """More of them than one look passes, too."""
    monkeypatch.setattr(taking, "MANY_EMPTY", 2)
    api.feeds["/orders"] = pages([1], [], [], [], [], [2])
    events = make()
    for _ in range(3):
        events.arrivals("shop/orders")
    assert taken(events) == ["1", "2"]


def test_a_cursor_that_leads_back_takes_nothing_twice(api: Api, make: Make) -> None:
    """It is told; one that leads to its own page says that nothing follows yet."""
    api.feeds["/orders"] = pages([1], [2], [3])
    api.answers = lambda status, body, link: (status, body.replace(b'"next": null', b'"next": 2'), link)
    for _ in range(2):
        assert taken(make()) == ["1", "2", "3"]
    api.answers = lambda status, body, link: (status, body.replace(b'"next": null', b'"next": 1'), link)
    known = {arrival.arrival_id for arrival in make().arrivals("shop/orders")}
    with pytest.raises(ContractBroken, match="leads back"):
        make().arrivals("shop/orders", known=known)
    assert taken(make()) == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (400, InvalidEnvironment, "400 .*parameters"),
        (403, InvalidEnvironment, "secret://name"),
        (410, NotFound, "no longer known"),
        (302, InvalidEnvironment, "name the URL that answers them itself"),
        (204, InvalidEnvironment, "no rows"),
        (500, StoreUnavailable, "500"),
        (503, StoreUnavailable, "503"),
        (429, Overloaded, "429"),
    ],
)
def test_what_is_no_answer_is_told_as_what_it_is(
    status: int, kind: type[Exception], says: str, api: Api, make: Make
) -> None:
    """What was taken before is listed all the same, and a redirect is not followed with the token."""
    api.feeds["/orders"] = pages([1])
    assert taken(make()) == ["1"]
    api.answers = lambda *_: (status, b"", {"Location": f"{api.url}/orders"})
    events, asked = make(), len(api.asked)
    [arrival] = events.arrivals("shop/orders")
    with pytest.raises(kind, match=says):
        events.arrivals("shop/orders", known={arrival.arrival_id})
    assert len(api.asked) == asked + 2


@pytest.mark.parametrize("status", [429, 503])
def test_what_retry_after_says_is_waited_for(
    status: int, api: Api, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In seconds or as a date, by all sources of the API; then rows come."""
    now = 100.0
    monkeypatch.setattr(asking.time, "monotonic", lambda: now)
    api.feeds["/orders"] = pages([1])
    known: set[str] = set()
    for said in ("30", format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)):
        api.answers = lambda *_, said=said: (status, b"", {"Retry-After": said})
        events, asked = make(), len(api.asked)
        for _ in range(3):
            with pytest.raises((Overloaded, StoreUnavailable)) as told:
                events.arrivals("shop/orders", known=known)
            assert 20 < told.value.delay_seconds <= 30
        assert len(api.asked) == asked + 1
        api.answers = lambda *given: given
        now += 31
        assert taken(events) == ["1"]
        known = {arrival.arrival_id for arrival in events.arrivals("shop/orders")}


@pytest.mark.parametrize("said", ["soon", "-1", "999999999999", ""])
def test_an_odd_retry_after_stops_nothing_for_long(said: str, api: Api, make: Make) -> None:
    """It is no number or date, or too long."""
    api.feeds["/orders"] = pages([1])
    api.answers = lambda *_: (429, b"", {"Retry-After": said})
    with pytest.raises(Overloaded) as told:
        make().arrivals("shop/orders")
    assert 0 < told.value.delay_seconds <= 3600


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"<html>", "no list of rows at 'data'"),
        (b'{"data": {}}', "no list of rows at 'data'"),
        (b'{"items": []}', "no list of rows at 'data'"),
        (b'{"data": [{"id": 1}], "paging": {"next": {}}}', "neither a text nor a number at 'paging.next'"),
        (b'{"data": [{"id": 1}], "paging": {"next": "https://evil.example/"}}', "leads to evil.example"),
        (b'{"data": [{"id": 1}], "known_at": "today"}', "no instant of ISO 8601 at 'known_at'"),
        (b"[" * 100_000, "no list of rows"),
        (b'{"data": [{"id": 1}, {"id": 2}', "no list of rows"),
        (b'{"data": [{"id": 1},, {"id": 2}]}', "no list of rows"),
        (b'{"data": [{"id": 1}, {"id": "2}]}', "no list of rows"),
        (b'{"data": [{"id": 1}]} {"data": []}', "no list of rows"),
    ],
)
def test_an_answer_that_the_feed_does_not_fit_is_told(body: bytes, says: str, api: Api, make: Make) -> None:
    """With the URL; nothing of it is taken."""
    api.feeds["/orders"] = []
    api.answers = lambda *_: (200, body, {})
    with pytest.raises(ContractBroken, match=says):
        make().arrivals("shop/orders")


def test_an_answer_that_never_ends_is_left(api: Api, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its bytes, or by its time: one that trickles, too."""
    api.feeds["/orders"] = pages([1] * 50)
    with faults.FaultProxy(api.url) as proxy:
        proxy.add(faults.every(), faults.trickle(0.02), times=1)
        with pytest.raises(StoreUnavailable, match=r"took over 0\.5 s"):
            make(feed={"url": f"{proxy.url}/orders"}, timeout_seconds=0.5).arrivals("shop/orders")
        monkeypatch.setattr(asking, "MOST_BYTES", 100)
        with pytest.raises(ContractBroken, match="smaller pages"):
            make(feed={"url": f"{proxy.url}/orders"}).arrivals("shop/orders")


def test_a_lost_request_or_answer_costs_a_look(api: Api, make: Make) -> None:
    """Asking changes nothing, so it is asked again; an API that is away is waited for."""
    api.feeds["/orders"] = pages([1], [2])
    with faults.FaultProxy(api.url) as proxy:
        feed = {"url": f"{proxy.url}/orders"}
        for does in (faults.lose_request(), faults.lose_response()):
            proxy.add(faults.every(), does, times=1)
            with pytest.raises(StoreUnavailable, match="does not answer"):
                make(feed=feed).arrivals("shop/orders")
        assert taken(make(feed=feed)) == ["1", "2"]
    begun = time.monotonic()
    away = make(feed={"url": f"http://127.0.0.1:{free_port()}/orders"})
    assert taken(away) == ["1", "2"]
    assert time.monotonic() - begun < 10


def test_a_key_that_a_link_repeats_is_not_kept(api: Api, make: Make, tmp_path: Path) -> None:
    """It is sent again with the page that the link leads to, and with no other parameter changed."""
    api.feeds["/orders"] = pages([1], [2])

    def repeating(status: int, body: bytes, headers: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
        link = {"Link": '</orders?api_key=mellon&key=a&limit=2&cursor=1>; rel="next"'} if headers else {}
        return status, body, link

    api.answers = repeating
    feed = {"url": f"{api.url}/orders?key=a&api_key=mellon&limit=1", "next": ""}
    assert taken(make(feed=feed)) == ["1", "2"]
    assert api.asked == ["/orders?key=a&api_key=mellon&limit=1", "/orders?api_key=mellon&key=a&limit=2&cursor=1"]
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"limit=2&cursor=1" in kept
    assert b"mellon" not in kept


def test_a_token_may_change_and_a_key_in_the_url_is_not_kept(api: Api, make: Make, tmp_path: Path) -> None:
    """What is kept of a page is the cursor, not what was asked with it."""
    api.feeds["/orders"] = pages([1], [2])
    assert taken(make(feed={"url": f"{api.url}/orders?key=mellon&limit=2"})) == ["1", "2"]
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"mellon" not in kept
    assert "limit=2&cursor=1" in api.asked[-1]
    counts: dict[str, int] = defaultdict(int)
    for path in api.asked:
        counts[path] += 1
    assert set(counts.values()) == {1}
