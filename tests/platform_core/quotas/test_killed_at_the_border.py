"""A landing that is killed again and again where its quota ends: raised, every row is there, each once."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

LANDING = """
import hashlib, sys, time
from datetime import timedelta
from pathlib import Path
from loopline.platform_core.environment import Environment
from loopline.platform_core.errors import QuotaReached
from loopline.platform_core.foundation.clock import ReplayClock
from loopline.platform_core.ingestion import landing
from loopline.platform_core.platform import Platform
from loopline.platform_core.quota_settings import Quotas
from loopline.platform_core.specs import Source, Team
from loopline.platform_core.testing.fakes.event_source import InMemoryEventSource
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.polars.engine import PolarsEngine
from tests.platform_core.ingestion.conftest import DAY_ONE, Shop

folder, limit = Path(sys.argv[1]), int(sys.argv[2])
landing.BATCH = 2
bindings = {"lake": DeltaLake(root=f"{folder}/lake"), "event_source": InMemoryEventSource(), "engine": PolarsEngine()}
quotas = Quotas(storage_bytes=limit)
ledger, clock = f"sqlite:///{folder}/ledger.db", folder / "clock"
platform = Platform(Environment("test", folder, bindings, ledger, clock, folder, quotas=quotas))
ReplayClock(clock).set(DAY_ONE + timedelta(days=1))
shop = Shop(folder, platform, Team("shop", folder), Source("orders", "orders.yaml"))
shop.contract()
for number in range(20):
    rows = (f"{row},{number + 1}.5,2020-01-01 08:00:00" for row in range(100))
    shop.deliver(f"f{number:02}", *rows, f"{number},x,", hours=number / 10)
print("begins", flush=True)
try:
    landing.land(*shop.args)
except QuotaReached:
    print("refused", flush=True)
found = [sorted(map(repr, shop.rows(table))) for table in ("shop/raw/orders", "shop/dead_letters/orders")]
print(*map(len, found), hashlib.sha256(repr(found).encode()).hexdigest(), flush=True)
"""


def landing(folder: Path, limit: int) -> subprocess.Popen[str]:
    """Begin to land twenty files under a quota of so many bytes."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-c", LANDING, str(folder), str(limit)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3])
    assert process.stdout is not None
    assert process.stdout.readline() == "begins\n"
    return process


@pytest.mark.timeout(300)
def test_nothing_is_lost_and_nothing_is_there_twice(tmp_path: Path) -> None:
    """At moments of a landing that comes to its border in the midst, with a count that a dead writer left behind."""
    free, _ = landing(tmp_path / "free", 10**9).communicate()
    assert free.startswith("2000 20 ")
    for _ in range(4):
        process = landing(tmp_path / "killed", 60_000)
        time.sleep(random.uniform(0.0, 0.8))  # any moment of a landing
        process.kill()
        process.communicate()
    refused, _ = landing(tmp_path / "killed", 60_000).communicate()
    assert refused.startswith("refused\n")
    assert 0 < int(refused.split()[1]) < 2000, "the border lies in the midst"
    assert landing(tmp_path / "killed", 10**9).communicate()[0] == free
