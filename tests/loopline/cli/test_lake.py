"""``loopline lake tidy`` merges files and says what it kept."""

from __future__ import annotations

import pytest

from loopline.platform_core.testing.lake import numbered, numbers

TABLE = "corner/raw/sales"


@pytest.fixture
def scattered(world):
    """Append five times to a table of one team, and once to another team's."""
    from loopline.platform_core.platform import Platform

    world.later(0)
    platform = Platform.open()
    for n in range(5):
        platform.lake.append(TABLE, numbered(n))
    platform.lake.append("other/raw/things", numbered(1))
    platform.close()
    return world


def test_a_dry_run_changes_nothing(scattered):
    """It lists the tables of every team."""
    said = scattered.json("lake", "tidy", "--dry-run")
    assert [(each["table"], each["tidied"]) for each in said["tables"]] == [(TABLE, None), ("other/raw/things", None)]


def test_tidying_merges_files(scattered):
    """The tables of the team that is named are tidied; what they hold stays."""
    from loopline.platform_core.platform import Platform

    (said,) = scattered.json("lake", "tidy", "corner", "--older-than-days", "0")["tables"]
    done = said["tidied"]
    assert (said["table"], done["files_before"], done["files_after"], done["files_deleted"]) == (TABLE, 5, 1, 5)
    platform = Platform.open()
    assert numbers(platform.lake, TABLE) == list(range(5))
    platform.close()
