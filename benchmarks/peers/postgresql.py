"""A PostgreSQL server for a benchmark, in a folder that goes afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

OWNER = "loopline"
START_SECONDS = 30


@contextmanager
def postgresql() -> Iterator[str]:
    """Run a server that syncs as one in production does; gives the URL of its database.

    Raises:
        RuntimeError: no server is installed, or it does not start.
    """
    folder, account = Path(mkdtemp(prefix="pg-", dir="/tmp")), _account()
    if account:
        shutil.chown(folder, account)
    data = str(folder / "data")
    made = [_program("initdb"), "-D", data, "-A", "trust", "-U", OWNER, "-E", "UTF8", "--locale=C"]
    subprocess.run(made, user=account, cwd="/", check=True, capture_output=True)
    settings = [f"-cunix_socket_directories={folder}", "-clisten_addresses="]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([_program("postgres"), "-D", data, *settings], user=account, cwd="/", stderr=log)
    try:
        _wait_for(folder, server)
        yield f"postgresql://{OWNER}@/postgres?host={folder}"
    finally:
        server.send_signal(signal.SIGQUIT)  # at once: nothing is worth saving
        server.wait(30)
        shutil.rmtree(folder)


def _program(name: str) -> str:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    path = str(found[-1]) if found else shutil.which(name)
    if path is None:
        raise RuntimeError(f"PostgreSQL's {name} is missing: install the server")
    return path


def _account() -> str | None:
    """Return the account to run as: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _wait_for(folder: Path, server: subprocess.Popen[bytes]) -> None:
    import psycopg2

    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            psycopg2.connect(host=str(folder), user=OWNER, dbname="postgres").close()
        except psycopg2.OperationalError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"PostgreSQL did not start: {folder.joinpath('log').read_text()[-2000:]}")
