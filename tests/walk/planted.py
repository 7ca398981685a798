"""Secrets of an installation on real servers, and a look for them wherever a walk has written or started something."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_urlsafe

import psutil
import pyarrow.parquet as pq
import redis

from loopline.platform_core.testing.parts.http_sink import HttpSink
from loopline.platform_core.testing.parts.ports import free_port
from tests.conftest import RedisServer
from tests.emulators.postgresql import Postgresql, postgresql

BINDINGS = """
name: walk
bindings:
  secrets: {{vendor: files, root: "{secrets}"}}
  lake: {{vendor: delta, root: "{home}/lake"}}
  online_store: {{vendor: redis, url: "secret://online#url"}}
  event_source: {{vendor: folder, root: "{home}/landing"}}
  engine: {{vendor: polars}}
  registry: {{vendor: mlflow, tracking_uri: "secret://registry", artifacts: "{home}/mlflow"}}
  compute: {{vendor: in_process}}
  serving: {{vendor: local, root: "{home}/serving", port: {port}}}
  drift_report: {{vendor: evidently, max_rows: 500}}
notifiers:
  chat: {{vendor: webhook, url: "{hook}", secret: "secret://chat"}}
ledger: "secret://ledger#url"
clock: {{replay: "{home}/clock"}}
"""


@dataclass(frozen=True)
class Planted:
    """What an environment file names and holds nothing of: passwords by where they are used."""

    secrets: Mapping[str, str]
    server: Postgresql
    store: RedisServer
    hook: HttpSink

    def traces(self, home: Path) -> set[tuple[str, str]]:
        """Return which secret was found in what: files below ``home``, databases, keys, processes."""
        looked = (
            *files(home),
            *databases(self.server),
            *keys(self.store, self.secrets["online"]),
            *processes(),
        )
        return {
            (name, where)
            for where, content in looked
            for name, text in self.secrets.items()
            if text.encode() in content
        }


@contextmanager
def planted(folder: Path, home: Path) -> Iterator[tuple[str, Planted]]:
    """Run PostgreSQL and Redis that ask for passwords, and write a store of secrets; gives the environment file too."""
    held = {name: f"planted-{token_urlsafe(16)}" for name in ("online", "chat")}
    store = RedisServer(folder)
    store.start("--requirepass", held["online"])
    with postgresql(free_port()) as server, HttpSink() as hook:
        held["database"] = server.password
        kept = folder / "secrets"
        kept.mkdir(mode=0o700)
        (kept / "ledger").write_text(json.dumps({"url": server.database("ledger")}))
        (kept / "registry").write_text(server.database("registry"))
        online = store.url.replace("://", f"://:{held['online']}@")
        (kept / "online").write_text(json.dumps({"url": online}))
        (kept / "chat").write_text(held["chat"])
        text = BINDINGS.format(home=home, secrets=kept, port=free_port(), hook=hook.url)
        yield text, Planted(held, server, store, hook)
    store.kill()


def files(home: Path) -> Iterator[tuple[str, bytes]]:
    """Give each file, and what is packed in it as it is without that."""
    for path in sorted(home.rglob("*")):
        if not path.is_file():
            continue
        content = path.read_bytes()
        yield str(path), content
        if path.suffix == ".parquet" and content:
            yield str(path), str(pq.read_table(path).to_pylist()).encode()
        with suppress(OSError, EOFError, zlib.error):
            yield str(path), gzip.decompress(content)


def databases(server: Postgresql) -> Iterator[tuple[str, bytes]]:
    """Give all that stands in each database."""
    for name in ("ledger", "registry"):
        command = [
            "pg_dump",
            f"--dbname={server.url.replace('/postgres?', f'/{name}?')}&port={server.port}",
            "--inserts",
        ]
        yield f"database {name}", subprocess.run(command, check=True, capture_output=True).stdout


def keys(store: RedisServer, password: str) -> Iterator[tuple[str, bytes]]:
    """Give each key of the online store with its value."""
    with redis.Redis(port=store.port, password=password) as client:
        for key in client.scan_iter():
            yield f"key {key!r}", key + (client.dump(key) or b"")


def processes() -> Iterator[tuple[str, bytes]]:
    """Give what each process that was started shows: the words of its command line, and its variables."""
    for process in psutil.Process(os.getpid()).children(recursive=True):
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            if process.name() not in {"redis-server", "postgres"}:  # the tests start these, with their passwords
                words = "\0".join(process.cmdline())
                yield f"process {process.pid} {words[:80]}", f"{words}\0{process.environ()}".encode()
