"""Open letters are counted and paged as the whole list is, and only the days of a page are read."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from loopline.platform_core.errors import NotFound
from loopline.platform_core.ingestion.landing import land
from loopline.platform_core.ingestion.letters.dead_letters import dead_letters, replay
from loopline.platform_core.ingestion.letters.letter_pages import count, fields, letter, page
from loopline.platform_core.testing.fakes.lake import InMemoryLake


@pytest.fixture
def letters(shop: Any) -> Any:
    """Deliver broken rows on three days, some broken twice."""
    shop.deliver("monday", "7,0,", "x,1,extra,field", ",9,")
    shop.deliver("tuesday", *(f"7,0.{n}," for n in range(5)), ",0.5,", hours=24)
    shop.deliver("wednesday", ",9,", "7,2,", hours=48)
    shop.platform.clock.set(shop.platform.clock.now() + timedelta(days=1))  # no file comes after now
    land(*shop.args)
    return shop


def counted(shop: Any) -> Any:
    """Count the shop's letters."""
    return count(shop.platform.lake, shop.team.name, shop.source.name)


def test_pages_together_are_the_whole_list(letters: Any) -> None:
    """Whatever a page's size, one after the other they are what the list of all letters says, in its order."""
    every, counts = dead_letters(*letters.args, limit=None).to_pylist(), counted(letters)
    assert counts.letters == len(every) == 10
    for size in (1, 2, 3, 7, 50):
        pages = [page(letters.platform.lake, counts, offset=start, size=size) for start in range(0, 12, size)]
        assert [row for rows in pages for row in rows.to_pylist()] == every


def test_counts_are_by_reason_and_day(letters: Any) -> None:
    """A letter with two reasons counts under both; the newest day comes first; a page may be of one reason."""
    counts = counted(letters)
    every = dead_letters(*letters.args, limit=None).to_pylist()
    for reason, number in counts.reasons.items():
        own = [row for row in every if reason in row["reasons"]]
        assert number == len(own) > 0
        found = [page(letters.platform.lake, counts, reason, offset, 2).to_pylist() for offset in range(0, 10, 2)]
        assert [row for rows in found for row in rows] == own
    assert next(iter(counts.days[""].values())) == 1
    assert sum(counts.reasons.values()) > counts.letters


def test_replayed_letters_are_not_among_them(letters: Any) -> None:
    """Once a mended contract takes letters they are neither counted nor listed; one of them says when it was closed."""
    before = counted(letters)
    gone = page(letters.platform.lake, before).to_pylist()
    letters.contract("1.1.0", low=0)
    done = replay(*letters.args)
    counts = count(letters.platform.lake, letters.team.name, letters.source.name, before)
    assert counts.letters == before.letters - done.replayed < before.letters
    assert page(letters.platform.lake, counts).to_pylist() == dead_letters(*letters.args).to_pylist()
    ids = {row["letter_id"] for row in page(letters.platform.lake, counts).to_pylist()}
    closed = [letter(letters.platform.lake, "shop", letters.source.name, row["letter_id"]) for row in gone]
    assert {row["letter_id"] for row in closed if row["resolved_at"] is None} == ids


def test_what_lands_while_pages_are_read_moves_none_of_them(letters: Any) -> None:
    """Pages of one count are its letters, each once, whatever landed or was replayed between two of them."""
    lake, counts = letters.platform.lake, counted(letters)
    every = [row["letter_id"] for row in dead_letters(*letters.args, limit=None).to_pylist()]
    found = page(lake, counts, size=4).to_pylist()
    letters.deliver("thursday", ",9,", "x,2,", hours=49)
    letters.deliver("late", ",8,", hours=24)
    land(*letters.args)
    found += page(lake, counts, offset=4, size=3).to_pylist()
    letters.contract("1.1.0", low=0)
    assert replay(*letters.args).replayed
    found += page(lake, counts, offset=7, size=50).to_pylist()
    assert [row["letter_id"] for row in found] == every


def test_letters_are_counted_at_the_version_that_the_count_names(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lands between the look at the version and the count is in the next count, not in this one."""
    shop.deliver("monday", ",9,", "7,0,")
    land(*shop.args)
    shop.deliver("tuesday", ",9,", hours=24)
    meanwhile, asked = [lambda: land(*shop.args)], InMemoryLake.version

    def version(lake: InMemoryLake, table: str) -> int | None:
        found = asked(lake, table)
        if meanwhile and table.startswith("shop/dead_letters/"):
            meanwhile.pop()()
        return found

    monkeypatch.setattr(InMemoryLake, "version", version)
    first = counted(shop)
    assert meanwhile == []
    assert (first.letters, len(page(shop.platform.lake, first))) == (2, 2)
    again = count(shop.platform.lake, shop.team.name, shop.source.name, first)
    assert (again.letters, len(page(shop.platform.lake, again))) == (3, 3)


def test_every_field_that_came_is_named(shop: Any) -> None:
    """Those of the letters counted, also what the contract does not name; of one reason where that is given."""
    shop.deliver("monday", "7,0,red", "x,2,blue", header="Customer,Price,Colour\n")
    shop.deliver("tuesday", "7,1,2020-01-01T10:00:00Z,extra", hours=24)
    shop.contract(without=("at",))
    land(*shop.args)
    lake, counts = shop.platform.lake, counted(shop)
    assert set(fields(lake, counts)) == {"Customer", "Price", "Colour", "At", "_malformed"}
    assert set(fields(lake, counts, "price.minimum")) == {"Customer", "Price", "Colour"}
    assert fields(lake, counts, "no such reason") == []


def test_a_page_reads_only_its_own_days(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of ten days the first page of two letters reads two, and counting again reads nothing."""
    for day in range(10):
        shop.deliver(f"day{day}", f",{day + 9},", hours=24 * day)
    shop.platform.clock.set(shop.platform.clock.now() + timedelta(days=10))
    land(*shop.args)
    counts = counted(shop)
    reads, read = list[dict[str, Any]](), InMemoryLake.read
    monkeypatch.setattr(InMemoryLake, "read", lambda lake, table, **how: reads.append(how) or read(lake, table, **how))
    assert count(shop.platform.lake, shop.team.name, shop.source.name, counts) is counts
    assert reads == []
    newest = max(counts.days[""])
    page(shop.platform.lake, counts, size=2)
    days = {(how["since"].isoformat(), how["until"].isoformat()) for how in reads}
    assert days == {((newest - timedelta(days=1)).isoformat(), newest.isoformat())}


def test_what_is_not_there_is_said(shop: Any) -> None:
    """A source of which nothing ever broke has no letters, and no letter of that name."""
    assert counted(shop).letters == 0
    assert len(page(shop.platform.lake, counted(shop))) == 0
    with pytest.raises(NotFound, match="no dead letter 'x'"):
        letter(shop.platform.lake, "shop", shop.source.name, "x")
