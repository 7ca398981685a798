"""A PostgreSQL server of the tests' own: real, in a folder of its own, reached by a socket or with a password."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import psycopg2

from tests.machine import needs

OWNER = "loopline"
_START_TRIES, _PAUSE_SECONDS = 1200, 0.1


@dataclass(frozen=True)
class Postgresql:
    """A running server: the folder of its socket; where it listens, a port and the owner's password."""

    folder: Path
    port: int = 5432
    password: str = ""

    @property
    def url(self) -> str:
        """Return the URL of the database that is there already, by the socket."""
        return f"postgresql://{OWNER}@/postgres?host={self.folder}"

    def database(self, name: str) -> str:
        """Make an empty database; returns its URL."""
        connection = psycopg2.connect(host=str(self.folder), port=self.port, user=OWNER, dbname="postgres")
        connection.autocommit = True
        connection.cursor().execute(f"CREATE DATABASE {name}")
        connection.close()
        if not self.password:
            return f"postgresql://{OWNER}@/{name}?host={self.folder}"
        return f"postgresql://{OWNER}:{self.password}@127.0.0.1:{self.port}/{name}"


@contextmanager
def postgresql(port: int = 0, *, syncs: bool = False) -> Iterator[Postgresql]:
    """Run one until the block ends; with a port it listens on this machine, and asks there for a password.

    It syncs, as one in production does, only where that is measured.
    """
    folder, account = Path(mkdtemp(prefix="pg-", dir="/tmp")), _account()
    if account:
        shutil.chown(folder, account)
    server = Postgresql(folder, port or 5432, secrets.token_urlsafe(16) if port else "")
    data = _made(server, account)
    listening = [f"-clisten_addresses={'127.0.0.1' if port else ''}", f"-p{server.port}"]
    settings = [
        f"-cunix_socket_directories={folder}",
        f"-cfsync={'on' if syncs else 'off'}",
        "-cmax_connections=200",
        *listening,
    ]
    log = (folder / "log").open("wb")
    process = subprocess.Popen([_program("postgres"), "-D", data, *settings], user=account, cwd="/", stderr=log)
    try:
        _wait_for(server, process)
        yield server
    finally:
        process.send_signal(signal.SIGQUIT)  # at once, whoever is still connected
        process.wait(30)
        log.close()
        shutil.rmtree(folder)


def _made(server: Postgresql, account: str | None) -> str:
    """Make the server's files; returns their folder."""
    data = str(server.folder / "data")
    options = ["-U", OWNER, "-E", "UTF8", "--locale=C", "--no-sync", "--auth-local=trust"]
    if server.password:
        file = server.folder / "password"
        file.write_text(server.password)
        if account:
            shutil.chown(file, account)
        options += ["--auth-host=scram-sha-256", f"--pwfile={file}"]
    else:
        options.append("--auth-host=trust")
    command = [_program("initdb"), "-D", data, *options]
    subprocess.run(command, user=account, cwd="/", check=True, capture_output=True)
    return data


def _program(name: str) -> str:
    """Find a program of the newest PostgreSQL server."""
    return needs(name, among=f"/usr/lib/postgresql/*/bin/{name}")


def _account() -> str | None:
    """Return the account to run as: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _wait_for(server: Postgresql, process: subprocess.Popen[bytes]) -> None:
    for _ in range(_START_TRIES):
        if process.poll() is not None:
            break
        try:
            psycopg2.connect(host=str(server.folder), port=server.port, user=OWNER, dbname="postgres").close()
        except psycopg2.OperationalError:
            time.sleep(_PAUSE_SECONDS)  # between two looks
        else:
            return
    raise TimeoutError(f"PostgreSQL did not start: {(server.folder / 'log').read_text()[-2000:]}")
