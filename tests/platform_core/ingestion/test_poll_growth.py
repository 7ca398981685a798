"""A poll costs what is new: by a new process too, it asks nothing of each file that ever landed."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.growth.home import ORDERS, Home, home, landed
from loopline.platform_core.ingestion.inbox import LandedIds, application
from loopline.platform_core.ingestion.landing import pending
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.folder import landing_folder

AN_HOUR = 3_600.0
"""Between two looks at all files: on a slow machine half a minute is over before the next poll, and its calls more."""


def calls(what: Callable[[], Any]) -> int:
    """Count the functions that are called, Python's own among them."""
    count = 0

    def called(_: object, event: str, __: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    gc.collect()
    gc.disable()  # what it would call is not ours
    sys.setprofile(called)
    try:
        what()
    finally:
        sys.setprofile(None)
        gc.enable()
    return count


def aged(folder: Path, files: int) -> Home:
    """Land files, and let one more come."""
    folder.mkdir()
    made = home(folder)
    made.deliver(files)
    landed(made)
    made.deliver()
    return made


def polled(made: Home) -> int:
    """Count the calls of a poll by who has looked at nothing yet, and finds the one that is new."""
    platform = made.opened()
    found: list[Any] = []
    count = calls(lambda: found.extend(pending(platform, made.team, ORDERS)))
    platform.close()
    assert [arrival.name for arrival in found] == [f"{made.arrivals - 1:06}.csv"]
    return count


@pytest.mark.parametrize("tidied", [False, True])
def test_a_poll_by_a_new_process_makes_no_call_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, tidied: bool
) -> None:
    """As many after 25 files as after five, whether the table's log has a checkpoint or not."""
    monkeypatch.setattr(landing_folder, "FEW", 3)
    monkeypatch.setattr(landing_folder, "SWEEP_SECONDS", AN_HOUR)
    polled(aged(tmp_path / "warm", 4))
    counts = []
    for files in (5, 25):
        made = aged(tmp_path / str(files), files)
        if tidied:
            platform = made.opened()
            platform.lake.open("shop/raw/orders").create_checkpoint()  # type: ignore[attr-defined]
            platform.close()
        counts.append(polled(made))
    assert abs(counts[1] - counts[0]) < 10


def test_what_landed_is_asked_of_the_lake_once_in_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By one process, which writes down what is settled; the next ones read the commits since."""
    monkeypatch.setattr(landing_folder, "SWEEP_SECONDS", AN_HOUR)
    made = aged(tmp_path / "home", 12)
    polled(made)
    asked: list[str] = []
    own = DeltaLake.committed
    monkeypatch.setattr(DeltaLake, "committed", lambda lake, *table: asked.append(table[0]) or own(lake, *table))
    polled(made)
    assert asked == []
    landed(made)
    made.deliver()
    asked.clear()
    polled(made)
    assert asked == []


def test_what_did_not_land_is_found_among_many_at_once() -> None:
    """Ids less those that landed, and every other kind of set."""
    known = LandedIds({application("a"): 1, application("b"): 1, "reader": 3})
    assert {"a", "c", "reader"} - known == {"c", "reader"}
    assert {"a"} - known == set()
    assert "a" in known
    assert sorted(known) == ["a", "b"]
