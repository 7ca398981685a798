"""A lake on a real object store that hangs: each call ends in time, says which lake it is, and goes on afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.testing.lake import numbered
from loopline.resources.delta.away import bounded
from loopline.resources.delta.lake import DeltaLake
from tests.s3_server import S3Server

TABLE = "a/raw/b"
CALLS: dict[str, Callable[[DeltaLake], object]] = {
    "version": lambda lake: lake.version(TABLE),
    "read": lambda lake: lake.read(TABLE),
    "committed": lambda lake: lake.committed(TABLE),
    "tables": lambda lake: lake.tables(),
    "append": lambda lake: lake.append(TABLE, numbered(2)),
}


@pytest.fixture
def lake(own_s3_server: S3Server) -> Iterator[DeltaLake]:
    """Give a lake with a table, whose store hangs."""
    options = {**own_s3_server.options, "aws_allow_http": "true", "timeout": "1s", "retry_timeout": "1s"}
    made = DeltaLake(root=f"{own_s3_server.place()}/lake", storage_options=options)
    made.append(TABLE, numbered(1), {"app": 1})
    assert (made.committed(TABLE), made.version(TABLE)) == ({"app": 1}, 0)  # it has looked before, as a sensor has
    own_s3_server.stop()
    yield made
    own_s3_server.go_on()
    assert made.append(TABLE, numbered(3), {"app": 3}) >= 1
    assert {1, 3} <= set(made.read(TABLE)["n"].to_pylist())


@pytest.mark.parametrize("name", CALLS)
def test_it_is_told_in_time(lake: DeltaLake, name: str) -> None:
    """In our words, and delta-rs's on one line without colours; reading and writing alike."""
    began = time.monotonic()
    with pytest.raises(StoreUnavailable) as told:
        CALLS[name](lake)
    assert time.monotonic() - began < 30  # some tries of one second, on a machine that may be busy
    assert lake.root in told.value.problem or TABLE in told.value.problem
    assert "store answers" in told.value.fix
    assert told.value.problem.isprintable()


def test_bounds_are_ours_where_nobody_names_any() -> None:
    """A look ends before Dagster ends a sensor's, after a minute; a folder of this machine has none."""
    found = bounded("s3://bucket/lake", {"AWS_REGION": "here"})
    assert found == {"AWS_REGION": "here", "timeout": "20s", "retry_timeout": "20s"}
    assert bounded("s3://bucket/lake", {"TIMEOUT": "5m"}) == {"TIMEOUT": "5m", "retry_timeout": "20s"}
    assert bounded("/var/lake", {}) == {}
