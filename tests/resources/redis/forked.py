"""A store that two processes share since one was forked from the other, or several threads of one."""

from __future__ import annotations

import multiprocessing

from loopline.platform_core.contracts.online_store import OnlineStore
from loopline.platform_core.testing.online_store import events, view_rows


def hold_when_forked(store: OnlineStore, times: int) -> None:
    """Hold that parent and child who read at the same time never get each other's answers."""
    store.write("v", "customer_id", view_rows([1, 2], [1, 2], spend=[1.0, 2.0]))
    assert events(store, "v", ["1"]) == {"1": 1}
    child = multiprocessing.get_context("fork").Process(target=reads_right, args=(store, "2", 2, times))
    child.start()
    reads_right(store, "1", 1, times)
    child.join(30)
    assert child.exitcode == 0


def reads_right(store: OnlineStore, key: str, event: int, times: int) -> None:
    """Read again and again."""
    for _ in range(times):
        assert events(store, "v", [key]) == {key: event}
