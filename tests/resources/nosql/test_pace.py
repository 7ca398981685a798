"""The pace of writes: as fast as may be until it is too much."""

from __future__ import annotations

import random
import time

import pytest

from loopline.platform_core.errors import StoreUnavailable
from loopline.resources.nosql.rate_limit import NotLetIn, Pace, Patience, Throttled


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def read(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def _rate(pace: Pace, clock: Clock, seconds: float, takes: float | None) -> float:
    """Write for so long to a service that takes so many rows a second; returns how many it took a second."""
    begun, taken = clock.now, 0
    while clock.now - begun < seconds:
        pace.take(50)
        clock.now += 0.01
        if takes is not None and taken + 50 > takes * (clock.now - begun) + 100:
            pace.slow_down()
        else:
            taken += 50
    return taken / (clock.now - begun)


def test_nothing_waits_before_something_was_refused() -> None:
    """A pace costs nothing where the service keeps up."""
    clock = Clock()
    pace = Pace(clock.read, clock.sleep)
    for _ in range(1000):
        pace.take(500)
    assert clock.now == 0


def test_it_finds_what_the_service_takes() -> None:
    """Given far more than it takes, the service soon refuses little and takes most of what it could."""
    clock = Clock()
    pace = Pace(clock.read, clock.sleep)
    _rate(pace, clock, 20, 1000)
    assert 500 < _rate(pace, clock, 60, 1000) <= 1010


def test_it_recovers() -> None:
    """When the service takes more again, the rate grows by a tenth each second."""
    clock = Clock()
    pace = Pace(clock.read, clock.sleep)
    _rate(pace, clock, 20, 500)
    before = pace.rows_per_second or 0
    _rate(pace, clock, 20, None)
    assert (pace.rows_per_second or 0) == pytest.approx(before * 1.1**20, rel=0.2)


def test_nobody_waits_long_for_the_pace() -> None:
    """However much was refused, and however many wait: the service is asked again within seconds."""
    clock = Clock()
    pace = Pace(clock.read, clock.sleep)
    pace.take(500)
    for _ in range(20):
        clock.now += 1
        pace.slow_down()
    assert pace.rows_per_second == 5
    begun = clock.now
    for _ in range(4):
        pace.take(500)
    assert clock.now - begun <= 4 * 5


def test_refusals_at_once_count_once() -> None:
    """Four threads that are refused together do not slow each other down to nothing."""
    clock = Clock()
    pace = Pace(clock.read, clock.sleep)
    pace.take(1000)
    clock.now += 1
    for _ in range(4):
        pace.slow_down()
    assert pace.rows_per_second == pytest.approx(500)


def test_patience_ends_with_what_was_the_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses grow and are scattered; a service that says how long is heard; the last word is its own."""
    clock, pauses = Clock(), []
    monkeypatch.setattr(time, "monotonic", clock.read)
    monkeypatch.setattr(time, "sleep", lambda seconds: (pauses.append(seconds), clock.sleep(seconds)))  # no time passes
    random.seed(1)
    patience, why = Patience(2.0), StoreUnavailable("away", "wait")
    with pytest.raises(StoreUnavailable, match="away"):
        _wait_for_ever(patience, why)
    assert pauses[0] <= 0.05
    assert 2 <= len(pauses) <= 8
    assert pauses[-1] > pauses[0]
    patience.progressed()
    patience.wait(Throttled("busy", "wait", 1.5))
    assert pauses[-1] == 1.5
    with pytest.raises(Throttled):
        patience.wait(Throttled("busy", "wait", 1.5))


def test_who_is_not_let_in_does_not_knock_again() -> None:
    """Waiting would not help."""
    with pytest.raises(NotLetIn):
        Patience(1000.0).wait(NotLetIn("expired", "log in", 30.0))


def _wait_for_ever(patience: Patience, why: StoreUnavailable) -> None:
    for _ in range(100):
        patience.wait(why)
