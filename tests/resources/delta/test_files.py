"""A table's files are put elsewhere in an order that never shows what is not there yet, tidied or old as it may be."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from loopline.platform_core.errors import NotFound, StoreUnavailable
from loopline.platform_core.testing.lake import numbered, numbers
from loopline.resources.delta.files import DRAFTS, DeltaFiles
from loopline.resources.delta.lake import DeltaLake

TABLE = "t/raw/a"


def put_all(source: DeltaFiles, target: DeltaLake, table: str, folder: Path) -> list[int | None]:
    """Put every file, and return the versions that a reader sees on the way; each must read."""
    seen: list[int | None] = []
    _, data, log = source.of(table)
    for file in (*data, *log):
        folder.joinpath("content").write_bytes(b"".join(source.read(file.path)))
        target.files().put(file.path, folder / "content")
        version = DeltaLake(root=target.root).version(table)
        if version is not None:
            numbers(target, table)
        seen += [] if version in seen else [version]
    return seen


def test_a_tidied_table_moves_with_the_version_that_is_kept(tmp_path: Path) -> None:
    """Its log was trimmed: only checkpoints tell of what was before."""
    lake, target = (DeltaLake(root=str(tmp_path / name)) for name in ("lake", "target"))
    for n in range(5):
        lake.append(TABLE, numbered(n), {"app": n})
    old = time.time() - 7_200
    for file in (tmp_path / "lake").rglob("*"):
        os.utime(file, (old, old))
    lake.tidy(TABLE, keep=[1], older_than=timedelta(0))
    with pytest.raises(NotFound):
        lake.read(TABLE, version=0)
    seen = put_all(lake.files(), target, TABLE, tmp_path)
    assert (seen[0], seen[-1]) == (None, lake.version(TABLE))
    assert 1 not in seen, "who has read it would take it for the newest, as the next one is gone"
    assert numbers(target, TABLE, version=1) == [0, 1]
    assert numbers(target, TABLE) == [0, 1, 2, 3, 4]
    assert target.committed(TABLE) == lake.committed(TABLE) == {"app": 4}
    with pytest.raises(NotFound):
        target.read(TABLE, version=0)
    assert target.append(TABLE, numbered(5), {"app": 5}) == lake.append(TABLE, numbered(5), {"app": 5})


def test_what_a_killed_process_left_is_written_anew(tmp_path: Path) -> None:
    """A draft is called after what it becomes, and is no file of a table."""
    lake, content = DeltaLake(root=str(tmp_path / "lake")), tmp_path / "content"
    content.write_bytes(b"whole")
    files = lake.files()
    files.put("t/raw/a/x", content)
    (tmp_path / "lake" / DRAFTS / "half").write_bytes(b"ha")
    assert files.below("t/raw/a") == {"t/raw/a/x": 5}
    assert files.below("t/raw/b") == {}
    assert lake.tables() == []
    (tmp_path / "lake" / "t" / "raw" / "b").write_text("no folder")
    with pytest.raises(StoreUnavailable, match="t/raw/b/x"):
        files.put("t/raw/b/x", content)
