"""No secret of an installation is found in what it has written or started: the story with real passwords."""

from __future__ import annotations

import gzip
import logging
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import redis

from loopline.platform_core.loop.deployments import deployments
from tests.walk import planted as plants
from tests.walk.conftest import in_force
from tests.walk.planted import Planted
from tests.walk.test_story import LIVE, REF, Shop, shop
from tests.walk.test_story import test_1_daily_files_become_rows_and_dead_letters as lands
from tests.walk.test_story import test_2_the_first_model_goes_live as goes_live

__all__ = ["shop"]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Planted]]:
    """Run the servers; an environment file that names their passwords is in force in the home."""
    folder = tmp_path_factory.mktemp("home")
    with (
        plants.planted(tmp_path_factory.mktemp("servers"), folder) as (environment, made),
        in_force(folder, environment),
    ):
        yield folder, made


@pytest.fixture(scope="module")
def home(planted: tuple[Path, Planted]) -> Path:
    """The installation's folder."""
    return planted[0]


@pytest.fixture(scope="module")
def told() -> Iterator[list[str]]:
    """Keep every log record of this process."""
    texts: list[str] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            texts.append(self.format(record))

    kept, root = Keeping(), logging.getLogger()
    root.addHandler(kept)
    yield texts
    root.removeHandler(kept)


def test_the_walk_leaves_none_behind(told: list[str], planted: tuple[Path, Planted], shop: Shop) -> None:
    """Rows land, a version is trained, answers and is watched, and not one password lies anywhere or is shown."""
    home, made = planted
    lands(shop)
    goes_live(shop)
    shop.trade(LIVE, LIVE + timedelta(days=40))
    (run,), _ = shop.driver.tick("loopline_monitor_sensor")
    assert run.success
    assert deployments.deployment(shop.platform.ledger, REF).stable.version == "1"
    assert shop.client.tally.failed == 0
    assert made.traces(home) == set()
    events = [
        str(event) for run in shop.driver.instance.get_runs() for event in shop.driver.instance.all_logs(run.run_id)
    ]
    assert len(events) > 50
    runs = [f"{run.run_config} {run.tags}" for run in shop.driver.instance.get_runs()]
    shown = [*events, *runs, *told, repr(shop.platform.environment), *map(str, os.environ.items())]
    assert not [text for text in shown for secret in made.secrets.values() if secret in text]


def test_one_that_lies_somewhere_is_found(planted: tuple[Path, Planted], shop: Shop) -> None:
    """In a file, packed or not, a database, a key: so that nothing was found because there was nothing."""
    home, made = planted
    hidden = home / "hidden"
    hidden.mkdir()
    secret, other = made.secrets["database"], made.secrets["chat"]
    (hidden / "log.txt").write_text(f"cannot connect to postgresql://loopline:{secret}@db")
    (hidden / "log.gz").write_bytes(gzip.compress(secret.encode()))
    pq.write_table(pa.table({"reason": [secret]}), hidden / "rows.parquet", compression="zstd")
    with psycopg2.connect(made.server.url.replace("/postgres?", "/ledger?"), port=made.server.port) as connection:
        connection.cursor().execute("CREATE TABLE hidden AS SELECT %s AS reason", (other,))
    with redis.Redis(port=made.store.port, password=made.secrets["online"]) as client:
        client.set("hidden", other)
    found = made.traces(home)
    assert {name for name, _ in found} == {"database", "chat"}
    places = {where for _, where in found}
    assert places == {
        *(str(hidden / name) for name in ("log.txt", "log.gz", "rows.parquet")),
        "database ledger",
        "key b'hidden'",
    }
