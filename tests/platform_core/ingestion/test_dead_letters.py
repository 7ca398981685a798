"""Dead letters are listed, and replayed once the contract is mended."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from loopline.platform_core.ingestion.landing import land
from loopline.platform_core.ingestion.letters.dead_letters import Replayed, dead_letters, replay
from loopline.platform_core.testing.fakes.lake import InMemoryLake
from tests.platform_core.ingestion.conftest import DyingLake, Killed


def test_open_letters_are_listed_newest_first(shop: Any) -> None:
    """Each says which file and line, why, and what stood there; before anything came the list is empty."""
    assert len(dead_letters(*shop.args)) == 0
    shop.deliver("monday", "7,0,", "x,1,extra,field")
    shop.deliver("tuesday", "7,0.5,2020-01-03", hours=24)
    land(*shop.args)
    letters = dead_letters(*shop.args).to_pylist()
    assert [(r["name"], r["line"]) for r in letters] == [("tuesday", 2), ("monday", 2), ("monday", 3)]
    assert list(letters[0]) == ["letter_id", "reasons", "name", "line", "arrived_at", "row"]
    assert letters[2]["reasons"] == ["row.malformed"]
    assert '"_malformed":"x,1,extra,field"' in letters[2]["row"]
    assert len(dead_letters(*shop.args, limit=1)) == 1


def test_a_mended_contract_brings_letters_back(shop: Any) -> None:
    """What keeps the contract now becomes raw rows, known from now on; the rest stays open."""
    shop.deliver("monday", "7,2,", "7,0.5,2020-01-01T10:00:00Z", "7,-3,", ",9,")
    land(*shop.args)
    assert replay(*shop.args) == Replayed(0, 3)
    shop.contract("1.1.0", low=0)
    assert replay(*shop.args) == Replayed(1, 2)
    assert shop.prices() == [0.5, 2]
    [row] = [row for row in shop.rows() if row["price"] == 0.5]
    assert row["_arrived_at"] == shop.platform.clock.now()
    assert (row["_line"], row["_date"]) == (3, date(2020, 1, 1))
    assert [letter["line"] for letter in dead_letters(*shop.args).to_pylist()] == [4, 5]
    assert replay(*shop.args) == Replayed(0, 2)
    [entry] = shop.entries("dead_letters.replayed")
    assert entry.details["replayed"] == 1


def test_a_person_who_says_why_is_in_the_ledger(shop: Any) -> None:
    """Who replays and why is kept, whether or not a letter lands; without a reason what changes nothing is not told."""
    shop.deliver("monday", "7,0.5,", "7,-3,")
    land(*shop.args)
    replay(*shop.args, by="ada", reason="the price list was wrong")
    shop.contract("1.1.0", low=0)
    replay(*shop.args, by="bob", reason="prices below one are right")
    replay(*shop.args, by="bob")
    told = [(entry.actor, entry.reason) for entry in shop.entries("dead_letters.replayed")]
    assert told == [
        ("ada", "0 of 2 letters: the price list was wrong"),
        ("bob", "1 of 2 letters: prices below one are right"),
    ]


def test_letters_that_are_all_alike_are_no_retyped_column(shop: Any) -> None:
    """All prices are unreadable: that is why they are letters, not a reason to refuse their replay."""
    shop.deliver("monday", *(f"{n},1,no date" for n in range(9)), *("8,1," for _ in range(9)))
    shop.deliver("tuesday", *(f"7,£{n},2020-01-01T00:00:00" for n in (1, 2)), "7,3,", "7,3,", "7,3,", hours=1)
    land(*shop.args)
    assert replay(*shop.args) == Replayed(0, 11)


def test_a_killed_replay_doubles_nothing(shop: Any) -> None:
    """Rows that a replay brought are found again, though its letters were still open and more have come since."""
    name = str(shop.folder)
    shop.on(InMemoryLake(name=name)).deliver("monday", "7,0.5,", "7,0.6,")
    land(*shop.args)
    shop.contract("1.1.0", low=0)
    with pytest.raises(Killed):  # once the rows are there, before the letters are closed
        replay(*shop.on(DyingLake(name=name, end=".resolved")).args)
    shop.on(InMemoryLake(name=name)).contract("1.2.0", low=0.55)
    shop.deliver("tuesday", "7,0.5,", "7,0.1,", hours=24)
    land(*shop.args)
    shop.contract("1.3.0", low=0.3)
    assert replay(*shop.args) == Replayed(3, 1)
    assert shop.prices() == [0.5, 0.5, 0.6]
    assert replay(*shop.args) == Replayed(0, 1)
    assert [letter["line"] for letter in dead_letters(*shop.args).to_pylist()] == [3]
