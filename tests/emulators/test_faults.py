"""The fault proxy does to requests what it is told, and nothing to others."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.emulators import faults
from tests.emulators.faults import FaultProxy
from tests.emulators.http_server import Answer, Request, Serving


@pytest.fixture
def done() -> list[tuple[str, str, bytes]]:
    """Hold what the server did."""
    return []


@pytest.fixture
def proxy(done: list[tuple[str, str, bytes]]) -> Iterator[FaultProxy]:
    """Stand before a server that answers with what it was sent, and remembers it."""

    def echo(request: Request) -> Answer:
        done.append((request.method, request.path, request.body))
        length = {"Content-Length": "7"} if request.method == "HEAD" else {}
        status = 200 if request.method != "DELETE" else 204
        return Answer(status, request.body, {"X-Host": request.headers["Host"], **length})

    with Serving(echo) as server, FaultProxy(server.url) as proxy:
        yield proxy


def _ask(proxy: FaultProxy, method: str, path: str, body: Any = None, chunked: bool = False) -> tuple[int, bytes, Any]:
    connection = http.client.HTTPConnection(proxy.url.removeprefix("http://"), timeout=10)
    connection.request(method, path, body, {"X-Kind": "plain"}, encode_chunked=chunked)
    given = connection.getresponse()
    found = given.status, given.read(), given.headers
    connection.close()
    return found


def test_what_no_rule_takes_goes_through(proxy: FaultProxy, done: list[tuple[str, str, bytes]]) -> None:
    """Methods, paths, bodies in one piece and in chunks, and the host that was signed for."""
    proxy.add(faults.header("X-Kind", "other"), faults.answer(500))
    assert _ask(proxy, "POST", "/a?b=c", b"x" * 100_000)[:2] == (200, b"x" * 100_000)
    assert _ask(proxy, "PUT", "/chunks", iter([b"one", b"two"]), chunked=True)[:2] == (200, b"onetwo")
    assert _ask(proxy, "HEAD", "/h")[2]["Content-Length"] == "7"
    assert _ask(proxy, "DELETE", "/d")[0] == 204
    assert _ask(proxy, "GET", "/g")[2]["X-Host"] == proxy.url.removeprefix("http://")
    assert [request[:2] for request in done] == [
        ("POST", "/a?b=c"),
        ("PUT", "/chunks"),
        ("HEAD", "/h"),
        ("DELETE", "/d"),
        ("GET", "/g"),
    ]
    assert proxy.count(faults.every()) == 5


def test_a_rule_takes_so_many_of_what_it_matches(proxy: FaultProxy, done: list[tuple[str, str, bytes]]) -> None:
    """Its own answer comes twice, after the first that matched; what is matched by another part stays."""
    asked = faults.every(faults.method("POST"), faults.path("^/a"), faults.body(b"x+"), faults.header("X-Kind", "^pl"))
    rule = proxy.add(asked, faults.answer(503, b"busy", {"Retry-After": "1"}), times=2, skip=1)
    statuses = [_ask(proxy, "POST", "/a", b"xx")[0] for _ in range(4)]
    assert (statuses, rule.taken) == ([200, 503, 503, 200], 2)
    assert _ask(proxy, "POST", "/b", b"xx")[0] == _ask(proxy, "POST", "/a", b"y")[0] == 200
    assert len(done) == 4


def test_connections_are_cut_before_and_after_it_is_done(proxy: FaultProxy, done: list[tuple[str, str, bytes]]) -> None:
    """A lost request was never done, a lost response was; the client sees the same."""
    proxy.add(faults.path("/request"), faults.lose_request())
    proxy.add(faults.path("/response"), faults.lose_response())
    for path in ("/request", "/response"):
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            _ask(proxy, "PUT", path, b"1")
    assert [path for _, path, _ in done] == ["/response"]


def test_answers_are_late_or_changed(proxy: FaultProxy, done: list[tuple[str, str, bytes]]) -> None:
    """A delay holds the request back, a slow answer does not; both come whole, and others are not kept waiting."""
    proxy.add(faults.path("/late"), faults.delay(0.4))
    proxy.add(faults.path("/slow"), faults.slow_answer(0.4))
    proxy.add(faults.path("/changed"), faults.changed(lambda given: Answer(given.status, given.body.upper())))
    found: dict[str, bytes] = {}
    asks = [
        threading.Thread(target=lambda p=p: found.update({p: _ask(proxy, "PUT", p, b"a")[1]}))
        for p in ("/late", "/slow")
    ]
    begun = time.monotonic()
    for ask in asks:
        ask.start()
    assert _ask(proxy, "PUT", "/changed", b"a")[1] == b"A"
    for ask in asks:
        ask.join()
    assert time.monotonic() - begun >= 0.4
    assert found == {"/late": b"a", "/slow": b"a"}
    assert [path for _, path, _ in done][-1] == "/late"
    proxy.add(faults.path("/trickle"), faults.trickle(0.02))
    begun = time.monotonic()
    assert _ask(proxy, "PUT", "/trickle", b"x" * 30)[1] == b"x" * 30
    assert time.monotonic() - begun >= 0.4


def test_answers_are_torn_in_the_middle(proxy: FaultProxy, done: list[tuple[str, str, bytes]]) -> None:
    """The client knows by the length that was promised; one without a body does not come at all."""
    proxy.add(faults.path("/torn"), faults.tear_answer())
    with pytest.raises(http.client.IncompleteRead) as torn:
        _ask(proxy, "PUT", "/torn", b"x" * 100)
    assert torn.value.partial == b"x" * 50
    with pytest.raises(http.client.RemoteDisconnected):
        _ask(proxy, "DELETE", "/torn")
    assert len(done) == 2


def test_each_request_fails_in_turn(proxy: FaultProxy, done: list[tuple[str, str, bytes]]) -> None:
    """Who begins anew gets one request further each time."""
    proxy.add(faults.one_later_each_time(), faults.answer(503))
    statuses = [_ask(proxy, "GET", "/")[0] for _ in range(9)]
    assert statuses == [503, 200, 503, 200, 200, 503, 200, 200, 200]
