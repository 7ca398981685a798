"""What networks and services do while rows are asked for, and what must come of it: each row once, told as what it is.

Subclass ``TableFaults`` and give ``proxy``, which stands before the service; ``opened``, which opens the source
``SOURCE`` over it anew, as another process would, with so many ``statement_seconds``: its rows are ``IDS`` and each is
a page; and ``refusal``, the service's own answer to credentials that hold no longer, with a part of what is told then.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import cycle
from typing import Any

import pytest

from loopline.platform_core.errors import InvalidEnvironment, StoreUnavailable, Transient
from tests.emulators.faults import (
    Answer,
    Does,
    FaultProxy,
    Forward,
    Request,
    answer,
    every,
    hold,
    lose_request,
    lose_response,
    one_later_each_time,
    tear_answer,
)

SOURCE, IDS = "shop/orders", ["a", "b", "c"]
PATIENT, HASTY = 20.0, 1.0
AMONG_ROWS = 3
"""So many requests come before rows are asked for, with every service."""
Opened = Callable[[float], Any]


def _by_turns(*ways: Does) -> Does:
    turns = cycle(ways)

    def does(request: Request, forward: Forward) -> Answer | None:
        return next(turns)(request, forward)

    return does


PASSING = {
    "busy": _by_turns(answer(429), answer(503)),
    "cut": _by_turns(lose_request(), lose_response()),
    "torn answer": tear_answer(),
    "another's answer": answer(200, b"<html>", {"Content-Type": "text/html"}),
}


class TableFaults:
    """One test a fault."""

    @pytest.mark.parametrize("fault", PASSING)
    def test_each_request_may_fail(self, fault: str, opened: Opened, proxy: FaultProxy) -> None:
        """In turn: it is asked again, by the client or by the next look, and what was taken by then stays."""
        rule = proxy.add(one_later_each_time(), PASSING[fault])
        for error in _settled(opened):
            assert error.delay_seconds > 0
            assert error.fix
        assert rule.taken > 2
        assert taken(opened(PATIENT)) == IDS

    def test_a_service_that_says_nothing_is_left(self, opened: Opened, proxy: FaultProxy) -> None:
        """In time; when it is back rows come, each once."""
        rule = proxy.add(every(), hold(over := threading.Event()), skip=AMONG_ROWS)
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable, match="answer") as told:
            opened(HASTY).arrivals(SOURCE)
        took = time.monotonic() - begun
        proxy.clear()
        over.set()
        assert took < 5 * HASTY + 5
        assert told.value.delay_seconds > 0
        assert rule.taken
        assert taken(opened(PATIENT)) == IDS

    @pytest.mark.parametrize("skip", [0, AMONG_ROWS])
    def test_who_is_no_longer_let_in_is_told(
        self, skip: int, opened: Opened, proxy: FaultProxy, refusal: tuple[Does, str]
    ) -> None:
        """With what to do; trying again changes nothing, and when it is done rows come, each once."""
        does, says = refusal
        proxy.add(every(), does, skip=skip)
        with pytest.raises(InvalidEnvironment, match=says):
            opened(PATIENT).arrivals(SOURCE)
        proxy.clear()
        assert taken(opened(PATIENT)) == IDS


def taken(events: Any) -> list[str | None]:
    """Return the ids of all that arrived, page by page, by whatever case their column has."""
    rows = [row for each in events.arrivals(SOURCE) for row in events.read(SOURCE, each).to_pylist()]
    return [row.get("id", row.get("ID")) for row in rows]


def _settled(opened: Opened) -> list[Transient]:
    """Look until there is nothing new, as a sensor does; returns what went wrong meanwhile."""
    known: set[str] = set()
    told: list[Transient] = []
    while len(told) < 40:
        try:
            found = {each.arrival_id for each in opened(PATIENT).arrivals(SOURCE, known=known)}
        except Transient as error:
            told.append(error)
            continue
        if not found:
            return told
        known |= found
    raise AssertionError(told)
