"""What a process makes for itself is made once, and anew by its fork."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection

from loopline.platform_core.foundation.one_a_process import OneAProcess


def test_a_process_makes_it_once_and_its_fork_again() -> None:
    """Threads share it; a fork does not get what its parent holds open."""
    made = OneAProcess(object)
    with ThreadPoolExecutor(8) as pool:
        assert len({id(one) for one in pool.map(lambda _: made.get(), range(50))}) == 1
    mine, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=_tell, args=(made, theirs, made.get()))
    child.start()
    assert mine.recv() is False
    child.join(30)
    assert made.taken() is not None
    assert made.taken() is None


def _tell(made: OneAProcess[object], to: Connection, parents: object) -> None:
    to.send(made.get() is parents)
