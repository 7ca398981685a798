"""The platform's time: the machine's, or the data's own from a file that is read when it changes."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from loopline.platform_core.foundation import clock as clocks
from loopline.platform_core.foundation.clock import ReplayClock, WallClock, dates

NOON = datetime(2011, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def clock(tmp_path: Path) -> ReplayClock:
    """Give a clock whose file is not there yet."""
    return ReplayClock(tmp_path / "folder" / "clock")


def test_without_a_file_it_is_the_machines_time(clock: ReplayClock) -> None:
    """Before anything is replayed, and again when the file is gone."""
    before = datetime.now(UTC)
    assert before <= clock.now() <= datetime.now(UTC)
    clock.set(NOON)
    assert clock.now() == NOON
    clock.path.unlink()
    assert before <= clock.now()


def test_it_is_never_behind(clock: ReplayClock) -> None:
    """However quickly the clock is moved, whoever asks afterwards is told the last instant."""
    reader = ReplayClock(clock.path)
    for step in range(200):
        clock.set(NOON + timedelta(seconds=step))
        assert reader.now() == NOON + timedelta(seconds=step)


def test_a_settled_file_is_read_once_until_another_moves_it(clock: ReplayClock) -> None:
    """Held in memory, asking costs a look at the file and no reading; it is read again when someone has moved it."""
    clock.set(NOON)
    then = time.time() - 1
    os.utime(clock.path, (then, then))
    assert clock.now() == NOON
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", lambda *_: pytest.fail("read again"))
        assert [clock.now() for _ in range(3)] == [NOON] * 3
    ReplayClock(clock.path).set(NOON + timedelta(days=300))  # as another process does: nothing of it is held here
    assert clock.now() == NOON + timedelta(days=300)


def test_microseconds_are_exact(clock: ReplayClock) -> None:
    """The number is the instant's own, before 1970 too; the machine's clock gives the same kind of number."""
    for instant in (NOON + timedelta(microseconds=1), datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)):
        clock.set(instant)
        assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=clock.now_us()) == instant
    assert abs(WallClock().now_us() - time.time() * 1e6) < 1e6


def test_an_environment_chooses(tmp_path: Path) -> None:
    """With a replay file it is that file's time, else the machine's."""
    assert isinstance(clocks.chosen(None), WallClock)
    assert isinstance(clocks.chosen(tmp_path / "clock"), ReplayClock)


@pytest.mark.parametrize(
    ("since", "until", "said"),
    [
        ("2011-03-01T10:00:00+00:00", "2011-03-28T09:30:00+00:00", "2011-03-01 to 2011-03-28"),
        ("2011-03-01T10:00:00+00:00", "2011-03-01T14:05:00+00:00", "2011-03-01 10:00 to 14:05"),
        ("2011-03-01", "2011-03-01", "2011-03-01"),
        ("", "2011-03-28T09:30:00+00:00", "2011-03-28"),
        ("", "", ""),
    ],
)
def test_a_stretch_of_time_is_said_in_days_or_within_one(since: str, until: str, said: str) -> None:
    """By minutes where both lie on one day and have some; by what is known of it."""
    assert dates(since, until) == said
