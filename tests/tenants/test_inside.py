"""What a team's code reaches in a tenant's code location: all of its own tenant, and nothing of another one.

The code is loaded by Dagster's own code server, which has the tenant's variables and, as root can give it one, the
tenant's account. It looks for everything that it finds: variables, files, credentials of its environment, processes.
"""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from loopline.platform_core.testing.parts.ports import free_port
from loopline.platform_core.testing.tenant_store import MINE, THEIRS
from tests.tenants.stores.postgres import PostgresGuest
from tests.tenants.world import ACCOUNTS, IS_ROOT, World
from tests.waiting import until

PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
ROOT = Path(__file__).parents[2]
PATHS = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join([str(ROOT), *site.getsitepackages()])}
CODE = """
import glob, json, os
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import dagster as dg
import psycopg2

OTHER = "retail-two"
tried = {}

def attempt(says, act):
    try:
        tried[says] = bool(act())
    except BaseException as error:
        tried[says] = False

def asked(url, statement="SELECT 1"):
    with psycopg2.connect(url, connect_timeout=5) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()

def at(url, name):
    return urlunsplit(urlsplit(url)._replace(path="/" + name))

from loopline.platform_core import environment
from loopline.platform_core.loop.ledger.ledger import Ledger

bound = environment.read()
folder = Path(os.environ["LOOPLINE_ENVIRONMENT"]).parent
found = sorted(os.path.join(at, name) for at, _, names in os.walk(folder) for name in names)
urls = {}
for file in found:
    try:
        urls |= {f"{file} {key}": value for key, value in json.loads(Path(file).read_text()).items() if "://" in value}
    except (OSError, ValueError, AttributeError, TypeError):
        pass
ledger = bound.revealed("ledger")

# the own tenant's: all of it, by which it is seen that what follows could come about
attempt("own: ledger", lambda: asked(ledger, "SELECT count(*) FROM note"))
attempt("own: secret", lambda: bound.revealing.store().read("database", "url").get_secret_value())
attempt("own: registry", lambda: asked(bound.bindings["registry"].tracking_uri))
attempt("own: home", lambda: (folder / "home/mine").write_text("mine"))
attempt("own: ledger by the platform", lambda: Ledger.open(ledger))

# another's: by every credential that was found, every name that could be its
names = [f"tenant_{OTHER}", OTHER, "operators", "postgres", "template1"]
for says, url in urls.items():
    for name in names:
        attempt(f"{says} at {name}", lambda url=url, name=name: asked(at(url, name)))
for key, value in os.environ.items():
    if "://" in value:
        attempt(f"variable {key}", lambda value=value: asked(value))
other = folder.parent / OTHER
for part in ("environment.yaml", "secrets/database", "home/kept"):
    attempt(f"file {part}", lambda part=part: (other / part).read_text())
attempt("file written", lambda: (other / "home/new").write_text("x"))
attempt("operator's folder", lambda: list((folder.parent / ".operator").iterdir()))
attempt("operator's secrets", lambda: list((folder.parents[1] / "operator").iterdir()))
attempt("its environment, read as one's own", lambda: environment.read(other / "environment.yaml", only=()))
for name in (f"../../{OTHER}/secrets/database", f"../{OTHER}/secrets/database", str(other / "secrets/database")):
    attempt(f"secret {name}", lambda name=name: bound.revealing.store().read(name, "url"))
for process in glob.glob("/proc/[0-9]*/environ"):
    def look(process=process):
        text = Path(process).read_bytes().decode(errors="replace")
        return OTHER in text or "postgresql://steward" in text
    attempt(f"process {process}", look)
def counted(statement):
    return asked(ledger, "SELECT count(*) FROM " + statement)[0][0]

others = "pg_roles WHERE rolname LIKE 'tenant%' AND rolname <> current_user AND pg_has_role(rolname, 'MEMBER')"
enters = "pg_database WHERE datname <> current_database() AND datallowconn AND has_database_privilege(oid, 'CONNECT')"
asking = "pg_stat_activity WHERE usename <> current_user AND query NOT IN ('', '<insufficient privilege>')"
attempt("roles that it is", lambda: counted(others))
attempt("databases that it may enter", lambda: counted(enters))
attempt("what others ask", lambda: counted(asking))

told = {"tried": tried, "user": os.geteuid(), "names": asked(ledger, "SELECT datname FROM pg_database ORDER BY 1")}
(folder / "home/told.json.draft").write_text(json.dumps(told))
(folder / "home/told.json.draft").rename(folder / "home/told.json")
defs = dg.Definitions()
"""


RUNS = """
from importlib.util import find_spec
import psycopg2
assert find_spec("dagster") and find_spec("loopline.platform_core.environment")
"""
"""What a Python says nothing to that may run the code."""


def python_of(number: int) -> str:
    """Return a Python of this version that an account may run, "" where there is none: ours may lie in root's home."""
    for path in (sys.executable, shutil.which(PYTHON, path="/usr/local/bin:/usr/bin") or ""):
        with suppress(OSError):
            command = [path, "-c", RUNS]
            account = {"user": number, "group": number, "extra_groups": ()}
            told = subprocess.run(command, env=PATHS, cwd="/", capture_output=True, check=False, **account)
            if told.returncode == 0:
                return path
    return ""


@pytest.fixture(scope="module")
def told(world: World) -> Iterator[Mapping[str, Any]]:
    """Load the code in a code server of the tenant, and return what it says."""
    for tenant in (MINE, THEIRS):
        PostgresGuest(world.fields(tenant)).write("note", tenant)
    home, code = world.root / MINE / "home", world.folder / "team.py"
    code.write_text(CODE)
    kept = world.root / THEIRS / "home/kept"
    kept.write_text("kept")
    python, as_account = python_of(ACCOUNTS[MINE]) if IS_ROOT else "", {}
    if python:
        as_account = {"user": ACCOUNTS[MINE], "group": ACCOUNTS[MINE], "extra_groups": ()}
    variables = {**PATHS, "HOME": str(home), "TMPDIR": str(home), **world.variables(MINE)}
    command = [python or sys.executable, "-m", "dagster", "api", "grpc", "-f", str(code), "--port", str(free_port())]
    log = world.folder / "code-server.log"
    with log.open("wb") as out:
        server = subprocess.Popen(command, env=variables, cwd=home, stdout=out, stderr=out, **as_account)
    try:
        until((home / "told.json").exists, 120, told=lambda: log.read_text()[-2000:])
    finally:
        server.kill()
        server.wait()
    yield {"apart": bool(as_account), **json.loads((home / "told.json").read_text())}
    kept.unlink()


def test_it_reaches_all_of_its_own(told: Mapping[str, Any]) -> None:
    """Teams within a tenant are kept in order by roles, and not apart."""
    own = {says: came for says, came in told["tried"].items() if says.startswith("own: ")}
    assert len(own) == 5
    assert [says for says, came in own.items() if not came] == []


def test_it_reaches_nothing_of_anothers(told: Mapping[str, Any], world: World) -> None:
    """By whatever it found: each of its credentials opens its own database alone."""
    others = {says: came for says, came in told["tried"].items() if not says.startswith("own: ")}
    by_files = ("file ", "operator's ", "its environment", "process ")
    if not told["apart"]:  # one account: files are not kept apart, as the page says
        others = {says: came for says, came in others.items() if not says.startswith(by_files)}
    assert len(others) > 25
    assert [says for says, came in others.items() if came] == []
    assert PostgresGuest(world.fields(THEIRS)).read("note") == THEIRS


@pytest.mark.skipif(not IS_ROOT, reason="only root can give a process another account")
def test_it_runs_as_its_tenants_account(told: Mapping[str, Any]) -> None:
    """Where the account may run Python; what it writes is its own."""
    if told["apart"]:
        assert told["user"] == ACCOUNTS[MINE]


def test_names_of_others_are_no_secret(told: Mapping[str, Any]) -> None:
    """Decision 0130 says so: PostgreSQL shows every role the names of all databases."""
    assert [f"tenant_{THEIRS}"] in told["names"]
