"""A Spark cluster of two workers beside an object store."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest

from benchmarks.peers.spark_cluster import SparkCluster


@pytest.fixture(scope="session")
def spark_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkCluster]:
    """Run a master and two workers for this session."""
    cluster = SparkCluster(tmp_path_factory.mktemp("spark"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="module")
def no_session() -> Iterator[None]:
    """Begin and end without a Spark session: a process has one, and it is of one kind."""
    end_session()
    yield
    end_session()


def end_session() -> None:
    """End the session of this process, before its cluster goes: it would wait for an answer, until the process ends.

    One by Connect is asked for where it is: the variable by which Spark finds it ended with the test that began it.
    """
    from pyspark.sql import SparkSession

    remote = sys.modules.get("pyspark.sql.connect.session")
    for kind in [SparkSession, *([remote.SparkSession] if remote else [])]:
        with suppress(Exception):
            if active := kind.getActiveSession():
                active.stop()
    os.environ.pop("SPARK_CONNECT_MODE_ENABLED", None)  # Connect leaves it: no other kind could begin
