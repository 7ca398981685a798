"""MLflow's server as ``loopline up`` starts it, where people sign in and have roles."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from loopline.platform_core import environment
from loopline.platform_core.audit import reading
from loopline.platform_core.audit.entry import AuditEntry
from loopline.platform_core.identity import accounts
from loopline.platform_core.identity.caller import Caller
from loopline.platform_core.loop.ledger.ledger import Ledger
from loopline.resources.mlflow.registry import MlflowRegistry
from loopline.sign_in.cookies import SESSION
from loopline.sign_in.desk import Desk
from loopline.up.ports import free_port
from tests.loopline.conftest import QUICK

LAPTOP = Path(__file__).parents[3] / "deploy/environments/laptop.yaml"
PASSWORD = "four words of a sentence"
ROLES = """
teams: {retail: {viewer: [ana], owner: [bob], service: [trainer]}}
platform: {service: [ci], operator: [oncall], owner: [olga], platform_admin: [root], auditor: [eve]}
"""
PEOPLE = ("ana", "bob", "oncall", "olga", "root", "eve", "zed")
SERVICES = ("ci", "trainer")
START_SECONDS = 180


@dataclass
class Server:
    """A server at ``url``, and what it knows: ``words`` are sessions by name."""

    home: Path
    url: str
    desk: Desk
    words: dict[str, str]

    def ask(self, who: str, method: str, path: str, **more: object) -> httpx.Response:
        """Ask as a program of somebody's, "" for nobody's."""
        headers = {"authorization": f"Bearer {self.words[who]}"} if who else {}
        return httpx.request(method, f"{self.url}{path}", headers=headers, timeout=60, **more)  # type: ignore[arg-type]

    def browser(self, who: str = "") -> httpx.Client:
        """Return what has somebody's cookie, and asks for pages."""
        kept = {SESSION: self.words[who]} if who else {}
        headers = {"accept": "text/html", "sec-fetch-mode": "navigate"}
        return httpx.Client(base_url=self.url, cookies=kept, headers=headers, timeout=60)

    def record(self, what: str) -> list[AuditEntry]:
        """Return what the record has of a kind, newest first."""
        with self.desk.ledger.reading() as connection:
            entries, _ = reading.newest(connection, reading.Wanted(what=what), 1000)
        return [entry for _, entry in entries]


def environment_file(home: Path) -> Path:
    """Write the laptop's environment with people who sign in and have roles."""
    home.joinpath("roles.yaml").write_text(ROLES)
    file = home / "laptop.yaml"
    file.write_text(LAPTOP.read_text() + "\nsign_in: {accounts: accounts.yaml}\naccess: {roles: roles.yaml}\n")
    return file


@contextmanager
def running(home: Path) -> Iterator[Server]:
    """Start it below a folder; what it is asked for is in ``LOOPLINE_HOME`` and ``LOOPLINE_ENVIRONMENT``."""
    file = environment_file(home)
    with pytest.MonkeyPatch.context() as here:
        here.setenv("LOOPLINE_HOME", str(home))
        here.setenv("LOOPLINE_ENVIRONMENT", str(file))
        here.setattr(accounts, "hasher", lambda: QUICK)
        for name in PEOPLE:
            accounts.add(home / "accounts.yaml", name, PASSWORD)
        desk = Desk.of(environment.read(only=()), Ledger.open(f"sqlite:///{home}/ledger.db"))
        words = {name: desk.begin(Caller(name)) for name in PEOPLE}
        words |= {name: desk.begin(Caller(name, service=True)) for name in SERVICES}
        port = free_port()
        registry = MlflowRegistry(tracking_uri=f"sqlite:///{home}/mlflow.db", artifacts=str(home / "mlflow"))
        with home.joinpath("log").open("wb") as log:
            process = subprocess.Popen(registry.ui(port), cwd=home, stdout=log, stderr=log)
        try:
            _wait(f"http://127.0.0.1:{port}/health", process, home / "log")
            yield Server(home, f"http://127.0.0.1:{port}", desk, words)
        finally:
            process.terminate()
            process.wait(60)
            desk.ledger.close()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up and process.poll() is None:
        try:
            httpx.get(url, timeout=10)
        except httpx.HTTPError:
            time.sleep(0.2)  # a server that starts tells nobody
        else:
            return
    raise AssertionError(log.read_text()[-3000:])
