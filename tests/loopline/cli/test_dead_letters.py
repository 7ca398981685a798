"""Dead letters are listed with their reasons, and replayed when the contract has been mended."""

from __future__ import annotations

from contextlib import closing

import pytest

from loopline.platform_core.platform import Platform

ROWS = """customer_id,sold_at,amount,country,returned
1,2011-03-01 10:00:00,5.0,DE,0
2,2011-03-01 11:00:00,-1.0,FR,1
,2011-03-01 12:00:00,3.0,FR,0
"""


@pytest.fixture
def landed(world):
    """Land a file of which two rows break the contract."""
    world.deliver("2011-03-01.csv", ROWS)
    return world


def test_letters_are_listed_with_reason_file_and_line(landed):
    """Each broken row is there with every reason, and where it stood; while the contract stays, each stays one.

    Who replays says why: both are in the ledger, even where nothing lands.
    """
    letters = landed.json("dead-letters", "list", "corner/sales")["letters"]
    assert [(letter["name"], letter["line"]) for letter in letters] == [("2011-03-01.csv", 3), ("2011-03-01.csv", 4)]
    assert letters[0]["reasons"] == ["amount.exclusive_minimum"]
    text = landed.run("dead-letters", "list", "corner/sales").stdout
    assert "customer_id.required" in text
    counts = {"replayed": 0, "still_dead": 2, "withdrawn": 0}
    signed = ("--by", "ada", "--reason", "refunds are no mistake")
    assert landed.json("dead-letters", "replay", "corner/sales", *signed) == {"source": "corner/sales", **counts}
    with closing(Platform.open()) as platform:
        (entry,) = platform.ledger.entries(kinds=["dead_letters.replayed"])
    assert (entry.actor, "refunds are no mistake" in entry.reason) == ("ada", True)


def test_a_source_without_letters(world):
    """Nothing landed, nothing dead; of a source that no team has that is an error with its name."""
    assert "no open dead letter" in world.run("dead-letters", "list", "corner/sales").stdout
    said = world.json("dead-letters", "list", "weather", code=1)
    assert said["error"] == "NotFound"
    assert "weather" in said["problem"]


def test_rows_are_mended_in_a_file(landed, tmp_path):
    """Letters are written out, mended, and replayed by hand; what is still wrong is shown with its reason."""
    file = tmp_path / "letters.csv"
    assert landed.json("dead-letters", "export", "corner/sales", str(file))["letters"] == 2
    lines = file.read_text().splitlines()
    assert lines[0] == '"letter_id","reasons","customer_id","sold_at","amount","country","returned"'
    file.write_text("\n".join(lines).replace('"-1.0"', '"1.0"') + "\n")
    said = landed.json("dead-letters", "replay", "corner/sales", "--rows", str(file))
    assert (said["replayed"], said["still_dead"]) == (1, 1)
    assert list(said["reasons"].values()) == [["customer_id.required"]]
    assert "0 rows landed, 1 are still" in landed.run("dead-letters", "replay", "corner/sales").stdout
    [left] = landed.json("dead-letters", "list", "corner/sales")["letters"]
    file.write_text(f"letter_id,customer_id\n{left['letter_id']},three\n")
    text = landed.run("dead-letters", "replay", "corner/sales", "--rows", str(file)).stdout
    assert "customer_id.parsable" in text
    file.write_text(f"letter_id,customer_id\n{left['letter_id']},3\n")
    assert landed.json("dead-letters", "replay", "corner/sales", "--rows", str(file))["replayed"] == 1


def test_a_file_that_names_what_is_not_there_lands_nothing(landed, tmp_path):
    """An unknown letter and an unknown column are named."""
    file = tmp_path / "letters.csv"
    file.write_text("letter_id,amount\nnobody,1\n")
    said = landed.json("dead-letters", "replay", "corner/sales", "--rows", str(file), code=1)
    assert (said["error"], "'nobody'" in said["problem"]) == ("NotFound", True)
    file.write_text("letter_id,colour\nnobody,1\n")
    assert "'colour'" in landed.json("dead-letters", "replay", "corner/sales", "--rows", str(file), code=1)["problem"]


def test_a_refused_file_is_listed_until_somebody_acts(landed):
    """It is named with problem and fix; it may be tried again, or dismissed with a reason, which is kept."""
    landed.deliver("odd.xlsx", "PK")
    [refused] = landed.json("dead-letters", "list", "corner/sales")["refused"]
    assert (refused["name"], "of no kind that is read" in refused["problem"]) == ("odd.xlsx", True)
    assert "odd.xlsx" in landed.run("dead-letters", "list", "corner/sales").stdout
    assert "refused:corner/sales" in landed.run("alarms", "list").stdout
    assert landed.json("dead-letters", "retry", "corner/sales", "odd.xlsx")["retry"] == ["odd.xlsx"]
    landed.json("dead-letters", "dismiss", "corner/sales", "other.xlsx", "--reason", "x", code=1)
    landed.json("dead-letters", "dismiss", "corner/sales", "odd.xlsx", "--reason", "a sheet")
    assert landed.json("dead-letters", "list", "corner/sales")["refused"] == []
    assert "refused:corner/sales" not in landed.run("alarms", "list").stdout
