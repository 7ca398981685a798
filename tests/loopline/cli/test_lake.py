"""``loopline lake tidy`` merges files and says what it kept."""

from __future__ import annotations

from contextlib import closing

from loopline.platform_core.platform import Platform
from loopline.platform_core.testing.lake import numbered, numbers

TABLE = "corner/raw/sales"


def test_tidying_merges_files(world):
    """The tables of the team that is named are tidied, what they hold stays; a dry run lists those of every team."""
    world.later(0)
    with closing(Platform.open()) as platform:
        for n in range(5):
            platform.lake.append(TABLE, numbered(n))
        platform.lake.append("other/raw/things", numbered(1))
    said = world.json("lake", "tidy", "--dry-run")
    assert [(each["table"], each["tidied"]) for each in said["tables"]] == [(TABLE, None), ("other/raw/things", None)]
    (said,) = world.json("lake", "tidy", "corner", "--older-than-days", "0")["tables"]
    done = said["tidied"]
    assert (said["table"], done["files_before"], done["files_after"], done["files_deleted"]) == (TABLE, 5, 1, 5)
    with closing(Platform.open()) as platform:
        assert numbers(platform.lake, TABLE) == list(range(5))
