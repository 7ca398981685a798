"""What the tests' cluster keeps in its cache: the newest two of a name stay, and whatever a process uses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TAKES = """
import sys
from pathlib import Path
from scripts.cluster.kept import folder

def make(scratch):
    print("makes", flush=True)
    if key == "slow":
        sys.stdin.readline()
    made = scratch / "made"
    made.mkdir()
    made.joinpath("what").write_text(key)
    return made

key = sys.argv[3]
found = folder(Path(sys.argv[1]), sys.argv[2], key, make)
print("has", found, flush=True)
if key == "used":
    sys.stdin.readline()
"""


def begun(cache: Path, name: str, key: str) -> subprocess.Popen[str]:
    """Let another process take a folder."""
    command = [sys.executable, "-c", TAKES, str(cache), name, key]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT)


def taken(cache: Path, name: str, key: str) -> list[str]:
    """Let it come to its end, and return what it said."""
    process = begun(cache, name, key)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return said.splitlines()


def keys(cache: Path) -> set[str]:
    """Return the keys of what is in the cache."""
    return {file.read_text() for file in cache.glob("*-*/what")}


def test_the_last_two_of_a_name_stay(tmp_path: Path) -> None:
    """The last used, not the last made; other names are left alone."""
    taken(tmp_path, "other", "alone")
    first = taken(tmp_path, "seed", "a")
    assert first[0] == "makes"
    taken(tmp_path, "seed", "b")
    assert taken(tmp_path, "seed", "a") == first[1:]  # found, not made, and from now on the newest
    taken(tmp_path, "seed", "c")
    assert keys(tmp_path) == {"alone", "a", "c"}


@pytest.mark.parametrize("ends", ["well", "killed"])
def test_what_is_used_stays(tmp_path: Path, ends: str) -> None:
    """Until its user has ended, however it ended."""
    user = begun(tmp_path, "seed", "used")
    assert user.stdout is not None
    assert [user.stdout.readline()[:5] for _ in range(2)] == ["makes", "has /"]
    for key in "abc":
        taken(tmp_path, "seed", key)
    assert keys(tmp_path) == {"used", "b", "c"}
    if ends == "killed":
        os.kill(user.pid, signal.SIGKILL)
    user.communicate("\n", timeout=60)
    taken(tmp_path, "seed", "c")
    assert keys(tmp_path) == {"b", "c"}


def test_two_at_once_make_it_once(tmp_path: Path) -> None:
    """Who comes second waits, and finds it."""
    both = begun(tmp_path, "seed", "slow"), begun(tmp_path, "seed", "slow")
    for process in both:  # whichever of them makes it goes on now
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[0].splitlines() for process in both]
    assert sorted(len(lines) for lines in said) == [1, 2]
    assert said[0][-1] == said[1][-1]


def test_a_killed_maker_leaves_nothing(tmp_path: Path) -> None:
    """Half of a folder is no folder: the next one makes it whole."""
    maker = begun(tmp_path, "seed", "slow")
    assert maker.stdout is not None
    assert maker.stdout.readline() == "makes\n"
    maker.kill()
    maker.communicate(timeout=60)
    assert keys(tmp_path) == set()
    assert taken(tmp_path, "seed", "a")[0] == "makes"
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(("seed-", "."))] == []
