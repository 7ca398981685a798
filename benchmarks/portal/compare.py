"""The portal's pages at ten, a hundred and a thousand models, and on as many dead letters as the retail demo has."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter

from benchmarks.page import Promise, Section
from benchmarks.turns import ROOT

SIZES = (10, 100, 1_000)
LETTERS = 243_078
TIMES = 60
BOUND_MS = 200
HOW = f"""Milliseconds from a request to the last byte of the page as HTML, over HTTP/1.1 on one connection, one request
at a time: the median and the 99th percentile of {TIMES} requests; `first` is the very first request of that page after
the portal's start, when nothing is kept yet. Each number of models is a process of its own on a ledger in SQLite: three
models with a long story, and so many that are live with a cycle, 40 drift windows and as many measurements, two views
of their own and a scorecard each. The last rows are one source with {LETTERS:,} open dead letters of 511 days, as many
as the retail demo has, in Delta tables on disk."""
HEADER = ("page", *(f"{size:,} models: median / p99" for size in SIZES), "first at 1,000", "kB")


@dataclass(frozen=True)
class Times:
    """How long a page took (ms), and how large it is."""

    first: float
    median: float
    p99: float
    bytes: int


def compare(quick: bool = False) -> Section:
    """Measure; quick asks less often, and leaves out the thousand models."""
    sizes, times = (SIZES[:2], 8) if quick else (SIZES, TIMES)
    found = {size: _measured(["--models", str(size)], times) for size in sizes}
    count = LETTERS // 20 if quick else LETTERS
    letters = _measured(["--models", str(sizes[-1]), "--letters", str(count)], times)
    largest = found[sizes[-1]]
    rows = [_row(page, [found[size][page] for size in sizes]) for page in largest]
    blank = ["-"] * (len(sizes) - 1)
    rows += [[f"{count:,} dead letters: {page}", *blank, *_row(page, [one])[1:]] for page, one in letters.items()]
    every = {**largest, **{f"dead letters, {page}": one for page, one in letters.items()}}
    slowest, coldest = max(every, key=lambda p: every[p].p99), max(every, key=lambda p: every[p].first)
    promises = [
        Promise(f"p99 of the slowest page ({slowest})", every[slowest].p99, BOUND_MS, " ms"),
        Promise(f"the slowest first request ({coldest})", every[coldest].first, 5 * BOUND_MS, " ms"),
    ]
    header = (HEADER[0], *HEADER[1 : len(sizes) + 1], f"first at {sizes[-1]:,}", HEADER[-1])
    return Section("The portal's pages", HOW, header, rows, promises)


def _measured(arguments: list[str], times: int) -> dict[str, Times]:
    with serving(arguments) as (url, pages):
        connection = http.client.HTTPConnection(url, timeout=60)
        first = {name: _asked(connection, path)[0] for name, path in pages.items()}
        return {name: _times(connection, path, first[name], times) for name, path in pages.items()}


def _times(connection: http.client.HTTPConnection, path: str, first: float, times: int) -> Times:
    asked = [_asked(connection, path) for _ in range(times)]
    taken = [milliseconds for milliseconds, _ in asked]
    return Times(first, median(taken), quantiles(taken, n=100, method="inclusive")[98], asked[0][1])


def _asked(connection: http.client.HTTPConnection, path: str) -> tuple[float, int]:
    began = perf_counter()
    connection.request("GET", path, headers={"accept": "text/html"})
    answer = connection.getresponse()
    body = answer.read()
    milliseconds = (perf_counter() - began) * 1000
    if answer.status != 200:
        raise RuntimeError(f"{path} answered {answer.status}: {body[:500]!r}")
    return milliseconds, len(body)


@contextlib.contextmanager
def serving(arguments: list[str]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Serve a portal in a process of its own; gives its host and port, and its pages by name."""
    command = [sys.executable, "-m", "benchmarks.portal.serve", *arguments]
    server = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        told = json.loads(server.stdout.readline())
        yield told["url"], told["pages"]
    finally:
        server.stdin.close()
        server.wait(60)


def _row(page: str, times: list[Times]) -> list[str]:
    told = [f"{one.median:.0f} / {one.p99:.0f}" for one in times]
    return [page, *told, f"{times[-1].first:.0f}", f"{times[-1].bytes / 1000:.0f}"]
