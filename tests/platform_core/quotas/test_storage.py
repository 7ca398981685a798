"""What the environment keeps is held to its quota: what is refused is not written, and not lost."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from itertools import count
from shutil import rmtree

import pyarrow as pa
import pytest

from loopline.platform_core.environment import Environment
from loopline.platform_core.errors import QuotaReached, StoreUnavailable
from loopline.platform_core.ingestion.landing import land, pending
from loopline.platform_core.platform import Platform
from loopline.platform_core.quota_settings import Quotas
from loopline.platform_core.quotas.lake import BoundedLake
from loopline.platform_core.quotas.storage import FILE, Storage, last
from loopline.platform_core.testing.fakes.lake import InMemoryLake
from loopline.platform_core.testing.lake import LakeKit
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.mlflow.registry import MlflowRegistry
from tests.platform_core.ingestion.conftest import DAY_ONE, Shop, shop  # noqa: F401 - a fixture

ROWS = pa.table({"n": pa.array(range(1000), pa.int64())})
"""8000 bytes."""
RAW, LETTERS = "shop/raw/orders", "shop/dead_letters/orders"


class TestBoundedLake(LakeKit):
    """With room enough it keeps every promise of the lake that it bounds."""

    @pytest.fixture
    def lake(self, tmp_path):
        """Give a lake with room."""
        return bounded(tmp_path, 10**12, InMemoryLake(name=str(tmp_path)))

    @pytest.fixture
    def opened_anew(self, lake, tmp_path):
        """Give another instance on the same tables, and on the same count."""
        return bounded(tmp_path, 10**12, InMemoryLake(name=str(tmp_path)))

    @pytest.fixture
    def elsewhere(self):
        return InMemoryLake()


def bounded(tmp_path, limit, lake, now=time.time):
    """Bound a lake, with the count beside it."""
    return BoundedLake.of(lake, Storage(tmp_path / "quotas", limit, {"lake": lake.kept_bytes}, now))


def on(shop, lake, storage_bytes):  # noqa: F811
    """Open the shop's platform anew on a lake, with a quota or without."""
    bound = shop.platform.environment
    own = replace(bound, bindings={**bound.bindings, "lake": lake}, quotas=Quotas(storage_bytes=storage_bytes))
    return replace(shop, platform=Platform(own))


def digest(shop):  # noqa: F811
    """Hash all rows that landed, dead ones too."""
    found = [sorted(map(repr, shop.rows(table))) for table in (RAW, LETTERS)]
    return hashlib.sha256(repr(found).encode()).hexdigest()


def test_what_is_refused_lands_when_there_is_room(shop, tmp_path):  # noqa: F811
    """A file stays in landing; once the quota is raised its rows are those that would have landed, each once."""
    for number in range(3):
        rows = (f"{row},{number + 1}.5,2020-01-01 08:00:00" for row in range(200))
        shop.deliver(f"day-{number}", *rows, "9,x,", hours=number)
    free = on(shop, DeltaLake(root=f"{tmp_path}/free"), None)
    land(*free.args)

    lake = DeltaLake(root=f"{tmp_path}/lake")
    full = on(shop, lake, 20_000)
    with pytest.raises(QuotaReached) as refused:
        land(*full.args)
    assert "there is no room for 600 rows of shop/raw/orders" in refused.value.problem
    assert "of 20 kB are used" in refused.value.problem
    assert "whoever runs the environment raises quotas.storage_bytes" in refused.value.fix
    assert lake.version(RAW) is None, "no part of the arrivals"
    assert len(pending(*full.args)) == 3
    assert full.entries("arrival.refused") == [], "it is no fault of the files"

    raised = on(shop, lake, 10_000_000)
    assert land(*raised.args).arrivals == 3
    assert land(*raised.args).arrivals == 0
    assert len(raised.rows()) == 600
    assert digest(raised) == digest(free), "its dead letters, which had room, are not there twice"


def test_old_rows_that_go_make_room(tmp_path):
    """Taking rows out is never refused, and what is gone is not counted for a while longer."""
    lake = bounded(tmp_path, 20_000, InMemoryLake())
    dated = ROWS.append_column("_date", pa.array([DAY_ONE.date()] * 1000, pa.date32()))
    lake.append("a/raw/b", dated)
    with pytest.raises(QuotaReached):
        lake.append("a/raw/b", dated)
    lake.append("a/raw/b", dated.slice(0, 0), {"marked": 1})
    assert lake.committed("a/raw/b") == {"marked": 1}, "what only commits transactions needs no room"
    lake.erase("a/raw/b", {"n": pa.array(range(900))})
    lake.append("a/raw/b", dated)
    assert len(lake.read("a/raw/b")) == 1100


def test_rows_are_counted_by_their_files_in_the_end(tmp_path):
    """In memory rows are larger than in a file: where they seem to find no room what lies there is measured.

    Time passes at each look, since a lake that took long to measure is not measured again for a while.
    """
    own = DeltaLake(root=f"{tmp_path}/lake")
    lake = bounded(tmp_path, 60_000, own, now=count(1.0, 3600.0).__next__)
    same = pa.table({"text": ["the same again and again"] * 1000})
    for _ in range(10):
        lake.append("a/raw/b", same)
    assert 10 * same.nbytes > 60_000 > own.kept_bytes()


def test_concurrent_writers_at_the_border(tmp_path):
    """Of twelve writers with room for five no more than five write, and none in part; asked again the room is filled.

    A write that is measured while it ends is counted twice for a moment, so that one may be refused too soon.
    """
    own = InMemoryLake()
    with ThreadPoolExecutor(12) as pool:
        lakes = [bounded(tmp_path, 44_000, own) for _ in range(12)]
        done = [pool.submit(lake.append, f"a/raw/b{number}", ROWS) for number, lake in enumerate(lakes)]
    refused = [one.exception() for one in done if one.exception()]
    assert {type(error) for error in refused} == {QuotaReached}
    assert 0 < len(own.tables()) == 12 - len(refused) <= 5
    for number in range(12, 17):
        with suppress(QuotaReached):
            lakes[0].append(f"a/raw/b{number}", ROWS)
    assert own.kept_bytes() == 40_000
    assert last(tmp_path / "quotas").under_way == {}


WRITER = """
import os, signal, sys
from pathlib import Path
import pyarrow as pa
from loopline.platform_core.quotas.storage import Storage
with Storage(Path(sys.argv[1]), 10_000, {"lake": lambda: 0}).writing("rows", 8_000):
    print("under way", flush=True)
    if sys.argv[2] == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    sys.stdin.read()
"""


def test_a_writer_that_dies_at_the_border_leaves_its_room(tmp_path):
    """While it writes its room is its own; killed, it holds none, and a torn count is begun anew."""
    storage = Storage(tmp_path, 10_000, {"lake": lambda: 0})

    def start(how):
        command = [sys.executable, "-c", WRITER, str(tmp_path), how]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "under way\n"
        return process

    with start("lives") as alive:
        with pytest.raises(QuotaReached, match=r"8 kB of 10 kB are used"):
            storage.writing("rows", 8_000).__enter__()
        alive.send_signal(signal.SIGKILL)
    with start("dies") as dead:
        dead.wait(20)
    with storage.writing("rows", 8_000):
        assert last(tmp_path).used == 8_000
    (tmp_path / FILE).write_text('{"parts": {"la')
    with storage.writing("rows", 8_000):
        assert last(tmp_path).used == 8_000


def test_a_write_that_fails_is_not_counted(tmp_path):
    """Its room is free again at once."""
    storage = Storage(tmp_path, 10_000, {"lake": lambda: 0})
    for _ in range(3):
        with pytest.raises(StoreUnavailable), storage.writing("rows", 8_000):
            raise StoreUnavailable("the store is gone", "wait")
    assert storage.count().used == 0


def test_what_is_measured_is_not_measured_at_each_write(tmp_path):
    """Once a minute, and where there seems to be no room; each binding's bytes are told by themselves."""
    looks = []

    def slow():
        looks.append(1)
        time.sleep(0.01)  # what is measured takes time
        return 1_000

    now = [1e9]
    storage = Storage(tmp_path, 100_000, {"lake": slow, "registry": lambda: None}, now=lambda: now[0])
    for _ in range(20):
        with storage.writing("rows", 10):
            pass
    assert (len(looks), storage.count().used) == (1, 1_200)
    now[0] += 61
    assert (storage.count().used, len(looks)) == (1_000, 2)
    assert {name: part.size_bytes for name, part in last(tmp_path).parts.items()} == {"lake": 1_000, "registry": None}
    for _ in range(5):
        with pytest.raises(QuotaReached):
            storage.writing("all of it", 100_000).__enter__()
    assert len(looks) == 2, "who is refused again and again measures it once in a while"


def test_what_would_write_is_not_begun_again_and_again(tmp_path):
    """For a minute after a write found no room nothing that writes is begun; raised, or with rows gone, at once."""
    now = [1e9]
    storage = Storage(tmp_path, 10_000, {"lake": lambda: 9_000}, now=lambda: now[0])
    storage.refuse_full("a run")
    with pytest.raises(QuotaReached):
        storage.writing("rows", 8_000).__enter__()
    with pytest.raises(QuotaReached, match="no room for a run: 9 kB of 10 kB"):
        storage.refuse_full("a run")
    replace(storage, limit=20_000).refuse_full("a run")
    storage.changed()
    storage.refuse_full("a run")
    with pytest.raises(QuotaReached):
        storage.writing("rows", 8_000).__enter__()
    now[0] += 61
    storage.refuse_full("a run")


def test_what_is_written_is_not_called_a_failure(tmp_path):
    """Where the count cannot be kept any more once the rows are in the lake, they are there, and the caller knows."""
    lake = InMemoryLake()
    storage = Storage(tmp_path / "quotas", 10**6, {"lake": lake.kept_bytes})
    with storage.writing("rows", 8_000):
        lake.append("a/raw/b", ROWS)
        rmtree(tmp_path / "quotas")
        (tmp_path / "quotas").write_text("no folder")
    assert len(lake.read("a/raw/b")) == 1000


def test_what_cannot_be_measured_is_told(tmp_path):
    """As a store that does not answer, which is tried again, and not as a fault of what was to be written."""

    def closed():
        raise PermissionError(13, "Permission denied")

    with pytest.raises(StoreUnavailable, match="what registry keeps cannot be told"):
        Storage(tmp_path, 10_000, {"registry": closed}).refuse_full("a run")


def test_the_count_cannot_be_kept(tmp_path):
    """A folder that is none is told, and nothing is written."""
    (tmp_path / "quotas").write_text("no folder")
    lake = bounded(tmp_path, 10**9, InMemoryLake())
    with pytest.raises(StoreUnavailable, match="cannot be counted"):
        lake.append("a/raw/b", ROWS)
    assert lake.tables() == []


def test_the_platform_counts_what_it_binds(tmp_path, monkeypatch):
    """Lake and registry; without a quota the lake is the one that is bound."""
    monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path))
    (tmp_path / "mlruns").mkdir()
    (tmp_path / "mlruns" / "model").write_bytes(b"x" * 500)
    bindings = {
        "lake": DeltaLake(root=f"{tmp_path}/lake"),
        "registry": MlflowRegistry(tracking_uri="sqlite://", artifacts=f"{tmp_path}/mlruns"),
    }
    plain = Environment("test", tmp_path, bindings, "sqlite://", None, tmp_path)
    assert Platform(plain).lake is bindings["lake"]
    assert Platform(plain).storage is None
    platform = Platform(replace(plain, quotas=Quotas(storage_bytes=10**6)))
    platform.lake.append("a/raw/b", ROWS)
    storage = platform.storage
    storage.changed()
    count = storage.count()
    assert count.parts["registry"].size_bytes == 500
    assert count.used == 500 + bindings["lake"].kept_bytes()
    assert platform.lake.can == bindings["lake"].can
