"""Delta tables keep the lake's promises on S3, Cloud Storage and Azure's Blob storage."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from deltalake import DeltaTable

from loopline.platform_core.contracts.lake import Lake
from loopline.platform_core.errors import CommitConflict
from loopline.platform_core.testing.lake import LakeKit, empty_beside, numbered, numbers
from loopline.resources.delta.lake import DeltaLake

WRITERS, COMMITS = 6, int(os.environ.get("LOOPLINE_TEST_COMMITS", "5"))
"""Fifty commits each are the whole size; it takes minutes where two cores are shared."""
TABLE = "a/raw/b"
WRITER = f"""
import sys
from loopline.platform_core.testing.lake import numbered
from loopline.resources.delta.lake import DeltaLake
lake = DeltaLake.model_validate_json(sys.argv[1])
number, commits = int(sys.argv[2]), int(sys.argv[3])
for n in range(commits):
    rows = numbered(1000 * number + n, day=1 + n % 2)
    lake.append({TABLE!r}, rows, {{f"w{{number}}": n}}, after={{f"w{{number}}": n - 1}} if n else {{}})
"""


class TestOnAnObjectStore(LakeKit):
    """Every promise, on each."""

    tested_on = "emulator: Azurite, fake-gcs-server; and a real server: SeaweedFS"

    @pytest.fixture
    def lake(self, make_lake: Callable[..., DeltaLake]) -> DeltaLake:
        """Open a lake."""
        return make_lake()

    @pytest.fixture
    def opened_anew(self, make_lake: Callable[..., DeltaLake]) -> DeltaLake:
        """Open it again."""
        return make_lake()

    @pytest.fixture
    def elsewhere(self, lake: DeltaLake) -> Lake:
        """Open one that is empty."""
        return empty_beside(lake)


def test_writers_at_once_lose_and_double_nothing(make_lake: Callable[..., DeltaLake]) -> None:
    """Processes that begin a table together and go on together: each commit is a version, and each row there once."""
    lake = make_lake(attempts=100)
    told = json.dumps({"root": lake.root, "storage_options": lake.storage_options, "attempts": lake.attempts})
    command = [sys.executable, "-c", WRITER, told]
    writers = [subprocess.Popen([*command, str(number), str(COMMITS)]) for number in range(WRITERS)]
    assert [writer.wait() for writer in writers] == [0] * WRITERS
    assert lake.version(TABLE) == WRITERS * COMMITS - 1
    assert numbers(lake, TABLE) == [1000 * number + n for number in range(WRITERS) for n in range(COMMITS)]
    assert lake.committed(TABLE) == {f"w{number}": COMMITS - 1 for number in range(WRITERS)}
    versions = [
        len(lake.read(TABLE, version=version, columns=["n"])) for version in (0, COMMITS, WRITERS * COMMITS - 1)
    ]
    assert versions == [1, COMMITS + 1, WRITERS * COMMITS]


def test_a_log_is_listed_from_an_offset(make_lake: Callable[..., DeltaLake]) -> None:
    """Who opens a table sees what was committed after the last checkpoint, and nothing of before is missing."""
    lake = make_lake()
    for n in range(4):
        lake.append(TABLE, numbered(n), {"app": n})
        if n == 1:
            lake.open(TABLE).create_checkpoint()
    anew = make_lake()
    assert (anew.version(TABLE), anew.open(TABLE).version(), numbers(anew, TABLE)) == (3, 3, [0, 1, 2, 3])


def test_the_next_append_opens_no_table(make_lake: Callable[..., DeltaLake], monkeypatch: pytest.MonkeyPatch) -> None:
    """Until another commits, or begins the table anew: what is committed is known all the same, and nothing is lost."""
    lake, other = make_lake(), make_lake()
    lake.append(TABLE, numbered(0), {"app": 0})
    lake.append(TABLE, numbered(1), {"app": 1})
    opened, unpatched = list[str](), DeltaLake._open

    def noted(self: DeltaLake, folder: str) -> DeltaTable | None:
        opened.append(folder)
        return unpatched(self, folder)

    monkeypatch.setattr(DeltaLake, "_open", noted)
    for n in (2, 3):
        assert lake.append(TABLE, numbered(n), {"app": n}, after={"app": n - 1}) == n
        assert lake.append(TABLE, numbered(n), {"app": n}) == n  # a second time: nothing is added
    assert opened == []
    assert (lake.committed(TABLE), numbers(lake, TABLE)) == ({"app": 3}, [0, 1, 2, 3])
    other.append(TABLE, numbered(4), {"app": 4, "other": 1})
    with pytest.raises(CommitConflict):
        lake.append(TABLE, numbered(9), {"app": 5}, after={"app": 3})
    assert lake.append(TABLE, numbered(5), {"app": 5}, after={"app": 4}) == 5
    assert lake.committed(TABLE) == {"app": 5, "other": 1}
    other.clear()
    other.append(TABLE, numbered(7), {"app": 0})
    assert lake.append(TABLE, numbered(8), {"app": 1}, after={"app": 0}) == 1
    assert numbers(other, TABLE) == [7, 8]
