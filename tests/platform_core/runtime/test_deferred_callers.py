"""Callers of put-off requests are told beside each other, whatever one of them does."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
import time
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from loopline.deferred import callbacks, callers
from loopline.deferred.request_queue import PutOff, Result, Spool
from loopline.deferred.worker import DeferredWorker, Means
from loopline.platform_core.runtime.settings.deferred import DeferredSettings
from tests.waiting import until

REQUEST = PutOff("/v2/models/m/infer", "m", b"{}", None, 0.0)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Look often, and try again soon."""
    monkeypatch.setattr(callers, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(callbacks, "FIRST_DELAY_SECONDS", 0.3)


@pytest.fixture
def spool(tmp_path):
    """Give an empty spool."""
    return Spool(tmp_path)


def answered(spool, *urls):
    """Keep an answer for each URL; gives the requests' names."""
    names = [f"{at:032x}" for at in range(len(urls))]
    for name, url in zip(names, urls, strict=True):
        spool.put(name, REQUEST)
        spool.draft(name, Result(200, [(b"content-type", b"application/json")], b"{}", url))
        spool.finish(name)
    return names


def tell(spool, condition, seconds, attempts=2, workers=1):
    """Let workers tell callers until something is so; gives the seconds that it took."""
    settings = DeferredSettings(callback_attempts=attempts)

    async def run():
        running = [DeferredWorker(Means(None, None, None, lambda: False), spool, settings) for _ in range(workers)]
        started = time.monotonic()
        for worker in running:
            worker.open()
        try:
            await asyncio.to_thread(until, condition, seconds)
        finally:
            took = time.monotonic() - started
            for worker in running:
                await worker.close()
        return took

    return asyncio.run(run())


@contextmanager
def listening(status=204, seconds=0.0):
    """Listen for answers; counts them by request, and notes how many were there at once."""

    class Taker(BaseHTTPRequestHandler):
        def do_POST(self):
            self.server.now += 1
            self.server.most = max(self.server.most, self.server.now)
            self.rfile.read(int(self.headers["content-length"]))
            time.sleep(seconds)  # as long as who listens takes
            self.server.got[self.headers["x-request"]] += 1
            self.server.now -= 1
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Taker) as server:
        server.got, server.now, server.most = Counter(), 0, 0
        server.url = f"http://127.0.0.1:{server.server_port}/"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def nothing_left(spool):
    """Return a condition: nobody is to be told any more."""
    return lambda: not list(spool.calls())


def test_a_url_that_cannot_be_posted_to_is_given_up(spool, caplog):
    """Each try is an attempt, however it fails: it ends, with one line in the log and no traceback."""
    answered(spool, "http://127.0.0.1:9/é", f"http://{'a' * 70}.test/")
    tell(spool, nothing_left(spool), 8)
    told = [record.levelno for record in caplog.records if record.name.startswith("loopline")]
    assert told == [logging.WARNING] * 2


def test_an_answer_that_cannot_be_read_is_given_up(spool):
    """A trouble that nobody thought of is an attempt too."""
    (name,) = answered(spool, "http://127.0.0.1:9/")
    (spool._folders["done"] / name).write_bytes(b"torn")
    tell(spool, nothing_left(spool), 8)


def test_silent_callers_keep_no_other_waiting(spool):
    """One that takes its answer has it at once, behind thirteen on another host who say nothing for five seconds."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent, listening() as good:
        names = answered(spool, *[f"http://127.0.0.1:{silent.getsockname()[1]}/"] * 13, good.url)
        assert tell(spool, lambda: good.got, 20) < 3
    assert good.got == {names[-1]: 1}


def test_one_that_comes_later_is_told_while_others_are_silent(spool):
    """Nobody waits for the end of a round."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent, listening() as good:
        answered(spool, f"http://127.0.0.1:{silent.getsockname()[1]}/")
        later = threading.Timer(0.5, answered, (spool, "http://127.0.0.1:9/", good.url))
        later.start()
        assert tell(spool, lambda: good.got, 20) < 3
        later.join()


def test_none_are_listed_while_there_are_none(spool, monkeypatch):
    """A look at rest asks for the folder's time alone; whom another process leaves to be told is told all the same."""
    listed, by_then = [], []
    real = Spool.calls
    monkeypatch.setattr(Spool, "calls", lambda self: listed.append(self) or real(self))
    os.utime(spool._folders["calls"], (1, 1))

    def come(url):
        by_then.append(len(listed))
        answered(Spool(spool._folders["calls"].parents[1]), url)

    with listening() as good:
        later = threading.Timer(0.6, come, (good.url,))
        later.start()
        tell(spool, lambda: good.got, 20)
        later.join()
    assert by_then == [1]
    assert sum(good.got.values()) == 1


def test_a_host_has_its_share_of_the_threads(spool):
    """Many answers for one host are told by four at a time, each once."""
    with listening(seconds=0.05) as good:
        names = answered(spool, *[good.url] * 24)
        tell(spool, nothing_left(spool), 20)
        assert good.most <= 4
    assert good.got == dict.fromkeys(names, 1)


def test_workers_count_attempts_together(spool):
    """Two workers make no more attempts than one, however long they wait for each other."""
    with listening(status=503, seconds=0.15) as refusing:
        names = answered(spool, *[refusing.url] * 6)
        tell(spool, nothing_left(spool), 20, workers=2)
    assert refusing.got == dict.fromkeys(names, 2)
