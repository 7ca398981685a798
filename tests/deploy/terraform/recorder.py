"""Proxies that record, in a process of their own: some clients let no other thread run while they wait."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.connection import Connection

from tests.emulators.faults import FaultProxy, Request


class Recorder:
    """Proxies by their names, at ``urls``."""

    def __init__(self, told: Connection) -> None:
        self._told = told
        self.urls: Mapping[str, str] = told.recv()

    def add(self, name: str, target: str) -> str:
        """Stand before another server; returns the proxy's URL."""
        self._told.send((name, target))
        self.urls = self._told.recv()
        return self.urls[name]

    def taken(self, name: str) -> list[Request]:
        """Return what was asked since this was asked last; headers' names are in small letters."""
        self._told.send((name, None))
        return [Request(*each) for each in self._told.recv()]


@contextmanager
def recording(**targets: str) -> Iterator[Recorder]:
    """Stand before servers while the block runs."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(targets, theirs), daemon=True)
    process.start()
    try:
        yield Recorder(ours)
    finally:
        process.kill()
        process.join()


def _serve(targets: Mapping[str, str], told: Connection) -> None:
    with ExitStack() as entered, suppress(EOFError):
        proxies = {name: entered.enter_context(FaultProxy(target)) for name, target in targets.items()}
        told.send({name: proxy.url for name, proxy in proxies.items()})
        while True:
            name, target = told.recv()
            if target:
                proxies[name] = entered.enter_context(FaultProxy(target))
                told.send({each: proxy.url for each, proxy in proxies.items()})
            else:
                told.send([_plain(each) for each in proxies[name].seen])
                proxies[name].clear()


def _plain(said: Request) -> Request:
    return said._replace(headers={name.lower(): value for name, value in said.headers.items()})
