"""What one worker refuses, over real connections: crowds, slow callers, long heads and bodies."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
import urllib.request

import psutil
import pytest

from loopline.platform_core.testing.parts.model_packages import Slow
from tests.platform_core.runtime.conftest import tensors
from tests.waiting import until

MODEL = "slow"
LIMITS = (
    ", limits: {requests: 4, connections: 40, receive_seconds: 1.0, send_seconds: 1.0, body_bytes: 200000,"
    " held_bytes: 300000, rows: 5000, header_bytes: 8192, idle_seconds: 3}"
)


@pytest.fixture(scope="module")
def server(start, tmp_path_factory):
    """Run a server with narrow limits and a model that needs 50 ms."""
    with start(tmp_path_factory.mktemp("limits"), {MODEL: Slow(0.0, call=0.05)}, LIMITS) as running:
        yield running


@pytest.fixture
def connect(server):
    """Give a function that opens a connection and sends something; all are closed."""
    with contextlib.ExitStack() as opened:

        def opens(sent=b""):
            connection = opened.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10))
            connection.sendall(sent)
            return connection

        yield opens


def post(body, *more, slash=""):
    """Write a request."""
    head = [f"POST /v2/models/{MODEL}/infer{slash} HTTP/1.1", "host: localhost", f"content-length: {len(body)}", *more]
    return "\r\n".join([*head, "", ""]).encode() + body


def body(rows=1):
    """Write the body of a request."""
    return json.dumps({"inputs": tensors(customer_id=[7] * rows, amount=[0.5] * rows)}).encode()


def reply(connection):
    """Read one answer: status, headers and the JSON value."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65536)
        assert piece, f"the connection ended after {received!r}"
        received += piece
    head, _, rest = received.partition(b"\r\n\r\n")
    first, *fields = head.decode().split("\r\n")
    headers = dict(field.split(": ", 1) for field in fields)
    while len(rest) < int(headers["content-length"]):
        rest += connection.recv(65536)
    return int(first.split()[1]), headers, json.loads(rest)


def ended(connection, within):
    """Say whether the server ends the connection within so many seconds, whatever it sends before."""
    connection.settimeout(within)
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


def send_many(connection, sent):
    """Send the same 3,000 times."""
    for _ in range(3000):
        connection.sendall(sent)


def is_healthy(server):
    """Say whether the server answers others at once."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/v2/health/ready", timeout=1) as answer:
        return answer.status == 200


def refused(server, reason):
    """Return how often a limit was met."""
    lines = []
    with (  # where there is room for who asks
        contextlib.suppress(OSError),
        urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=5) as answer,
    ):
        lines = answer.read().decode().splitlines()
    return next((int(line.split()[-1]) for line in lines if f'refused_total{{reason="{reason}"}}' in line), 0)


@pytest.mark.parametrize(
    "sent",
    [b"", b"POST /v2/mod", b"GET /v2 HTTP/1.1\r\nhost: localhost\r\nx-a: ", post(body())[:-5]],
    ids=["nothing", "a path", "a header", "a body"],
)
def test_a_request_that_never_comes_whole(server, connect, sent):
    """After a second or two its caller is told, and the connection ends; others are answered meanwhile."""
    slow = connect()
    slow.sendall(sent)
    assert is_healthy(server)
    status, headers, said = reply(slow)
    assert (status, headers["connection"]) == (408, "close")
    assert "did not come in time" in said["error"]
    assert ended(slow, 2)
    assert refused(server, "slow_request") > 0


def test_bytes_one_by_one_win_no_time(connect):
    """What dribbles in is late all the same, in a head and in a body."""
    heads = b"GET /v2 HTTP/1.1\r\nx-a: ", b"POST /v2/models/slow/infer HTTP/1.1\r\ncontent-length: 999\r\n\r\n"
    dribbling, started = [*map(connect, heads)], time.monotonic()
    while dribbling:
        assert time.monotonic() - started < 60, "it went on as long as bytes came"
        time.sleep(0.05)  # a byte now and then is what is tried
        for one in [*dribbling]:
            try:
                one.sendall(b"x")
            except ConnectionError:
                dribbling.remove(one)


def test_callers_that_dribble_hold_up_nobody(server, connect):
    """Thirty at once, and whoever asks properly is answered."""
    for _ in range(30):
        connect().sendall(post(body())[:-1])
    asking = connect(post(body()))
    assert reply(asking)[0] == 200


def test_a_connection_that_is_used_is_kept_and_an_idle_one_ended(connect):
    """Requests one after another, with time between them; an idle time is longer than that of a request."""
    kept = connect()
    for pause in (1.2, 0):
        kept.sendall(post(body()))
        assert reply(kept)[0] == 200
        time.sleep(pause)  # longer than a request may take, shorter than a connection may rest
    assert ended(kept, 6)


def test_a_head_that_is_too_long(server, connect):
    """In one header, in many, or in the path."""
    for head in (b"GET /v2 HTTP/1.1\r\nx-a: " + b"a" * 9000, b"GET /" + b"a" * 9000):
        long = connect(head)
        assert reply(long)[0] == 431
        assert ended(long, 2)
    many = connect(b"GET /v2 HTTP/1.1\r\n" + b"a: b\r\n" * 200)
    assert reply(many)[0] == 431
    assert refused(server, "size") >= 3


def test_what_is_no_http(connect):
    """It is told so in the protocol's shape."""
    confused = connect(b"\x16\x03\x01 hello\r\n\r\n")
    status, _, said = reply(confused)
    assert status == 400
    assert "HTTP" in said["error"]


def test_a_body_that_is_too_long(connect):
    """Its length is enough; without a length it is read so far; packed it counts as unpacked."""
    declared = connect(b"POST /v2/models/slow/infer HTTP/1.1\r\ncontent-length: 200001\r\n\r\n")
    assert reply(declared)[0] == 413
    chunked = connect(b"POST /v2/models/slow/infer HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n")
    for _ in range(5):
        chunked.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
    assert reply(chunked)[0] == 413


def test_after_a_refused_body_the_connection_goes_on(connect):
    """Whoever sends the rest of it may ask again; whoever goes on for ever is cut off."""
    polite = connect(post(b" " * 200_001))
    assert reply(polite)[0] == 413
    polite.sendall(post(body()))
    assert reply(polite)[0] == 200
    endless = connect(b"POST /v2/models/slow/infer HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n")
    with pytest.raises(ConnectionError):
        send_many(endless, b"10000\r\n" + b" " * 65536 + b"\r\n")


def test_too_many_rows(connect):
    """As many as allowed are answered, one more is not."""
    asking = connect(post(body(5000)))
    assert reply(asking)[0] == 200
    asking.sendall(post(body(5001)))
    status, _, said = reply(asking)
    assert status == 413
    assert "5001 rows" in said["error"]


def test_bodies_underway_are_bounded_together(connect):
    """Three callers with 150 kB each are more than 300 kB: the last is told to come again."""
    replies = []
    for _ in range(3):
        sending = connect(post(b" " * 190_000)[:-40_000])
        sending.settimeout(0.3)
        with contextlib.suppress(TimeoutError):
            replies.append(reply(sending))
    assert [(status, headers["retry-after"]) for status, headers, _ in replies] == [(503, "1")]


@pytest.mark.parametrize("slash", ["", "/", "//"])
def test_more_requests_than_are_taken_on(server, connect, slash):
    """Those beyond are refused at once, however the path ends, with a time to come again; health is always answered."""
    before = refused(server, "requests")
    connections = [connect() for _ in range(16)]
    for connection in connections:
        connection.sendall(post(body(), slash=slash))
    assert is_healthy(server)
    replies = [reply(connection) for connection in connections]
    statuses = [status for status, _, _ in replies]
    assert statuses.count(200) >= 4
    assert statuses.count(503) >= 4
    assert set(statuses) == {200, 503}
    assert {headers["retry-after"] for status, headers, _ in replies if status == 503} == {"1"}
    assert refused(server, "requests") >= before + 4


def test_more_connections_than_are_taken_on(server, connect):
    """Those beyond are refused; when others end there is room again."""
    held = [connect() for _ in range(40)]
    status, headers, _ = reply(connect())
    assert (status, headers["retry-after"]) == (503, "1")
    for connection in held:
        connection.close()
    until(lambda: refused(server, "connections"))
    assert is_healthy(server)


def test_a_caller_that_does_not_read(server, connect):
    """Requests behind requests whose answers nobody takes: the connection ends, and memory does not grow."""
    before = psutil.Process(server.pid).memory_info().rss
    deaf = connect()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.settimeout(8)
    with pytest.raises(ConnectionError):
        send_many(deaf, post(body(4000)))
    assert is_healthy(server)
    assert psutil.Process(server.pid).memory_info().rss - before < 40e6


def test_memory_stays_flat_at_ten_times_the_capacity(server):
    """Forty callers where four are taken on, for two seconds: every answer is 200 or 503, and memory stays."""
    process, statuses, end = psutil.Process(server.pid), [], time.monotonic() + 2

    def ask():
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            while time.monotonic() < end:
                connection.sendall(post(body(500)))
                statuses.append(reply(connection)[0])

    before = process.memory_info().rss
    callers = [threading.Thread(target=ask) for _ in range(38)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert set(statuses) == {200, 503}
    assert statuses.count(200) > 16  # a crowd that comes again at once does not keep itself out
    assert process.memory_info().rss - before < 40e6
