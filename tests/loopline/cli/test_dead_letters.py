"""Dead letters are listed with their reasons, and replayed when the contract has been mended."""

from __future__ import annotations

import os
import time

import pytest

ROWS = """customer_id,sold_at,amount,country,returned
1,2011-03-01 10:00:00,5.0,DE,0
2,2011-03-01 11:00:00,-1.0,FR,1
,2011-03-01 12:00:00,3.0,FR,0
"""


@pytest.fixture
def landed(world):
    """Land a file of which two rows break the contract."""
    from corner_shop import sales, team

    from platform_core.ingestion.landing import land
    from platform_core.platform import Platform

    file = world.home / "landing/corner/sales/2011-03-01.csv"
    file.parent.mkdir(parents=True)
    file.write_text(ROWS)
    os.utime(file, (time.time() - 3600,) * 2)
    platform = Platform.open()
    land(platform, team, sales)
    platform.close()
    return world


def test_letters_are_listed_with_reason_file_and_line(landed):
    """Each broken row is there with every reason, and where it stood."""
    letters = landed.json("dead-letters", "list", "sales")["letters"]
    assert [(letter["name"], letter["line"]) for letter in letters] == [("2011-03-01.csv", 3), ("2011-03-01.csv", 4)]
    assert letters[0]["reasons"] == ["amount.exclusive_minimum"]
    text = landed.run("dead-letters", "list", "corner/sales").stdout
    assert "customer_id.required" in text


def test_replay_counts_what_is_still_dead(landed):
    """While the contract is as it was, every letter stays one."""
    assert landed.json("dead-letters", "replay", "sales") == {
        "source": "corner/sales",
        "replayed": 0,
        "still_dead": 2,
    }


def test_an_unknown_source_is_named(landed):
    """A source that no team has is an error with a fix."""
    said = landed.json("dead-letters", "list", "weather", code=1)
    assert said["error"] == "NotFound"
    assert "weather" in said["problem"]


def test_a_source_without_letters(world):
    """Nothing landed, nothing dead."""
    assert "no open dead letter" in world.run("dead-letters", "list", "sales").stdout
