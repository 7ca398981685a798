"""Lock file of a home: one supervisor at a time, and the addresses of what it runs."""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from loopline.platform_core.errors import NotFound, Refused
from loopline.platform_core.foundation.files import write

LOCK = "up.lock"
FILE = "up.json"


@contextlib.contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Hold the home's lock.

    Raises:
        Refused: another supervisor holds it.
    """
    home.mkdir(parents=True, exist_ok=True)
    with home.joinpath(LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Refused(
                f"Loopline runs in {home} already", "end it with Ctrl-C, or choose another folder with --home"
            ) from error
        yield


def announce(home: Path, facts: Mapping[str, Any]) -> None:
    """Write where things are, for other processes to read."""
    write(home / FILE, json.dumps(dict(facts), indent=2).encode())


def withdraw(home: Path) -> None:
    """Remove what ``announce`` wrote."""
    home.joinpath(FILE).unlink(missing_ok=True)


def announced(home: Path) -> dict[str, Any]:
    """Read where things are.

    Raises:
        NotFound: nothing runs in this home.
    """
    with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
        facts: dict[str, Any] = json.loads(home.joinpath(FILE).read_text())
        if _holds(home):
            return facts
    raise NotFound(f"nothing runs in {home}", "start it with 'loopline up', or name the folder with --home")


def _holds(home: Path) -> bool:
    try:
        with home.joinpath(LOCK).open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False
