"""The engine keeps its promises on a standalone cluster, by a session of this process."""

from __future__ import annotations

import sys
import time

import pytest

from benchmarks.peers.spark_cluster import SMALL, SparkCluster
from loopline.platform_core.errors import InvalidEnvironment, Overloaded, StoreUnavailable
from loopline.platform_core.testing.engine import EngineKit
from loopline.platform_core.testing.engines.engine_tables import raw_orders, spending
from loopline.resources.pyspark.engine import PysparkEngine
from tests.resources.pyspark.conftest import end_session
from tests.resources.pyspark.on_cluster import OnClusterKit, staged_engine
from tests.s3_server import S3Server

ORDER = raw_orders((1, 0, 1, 1.0, "a"))


@pytest.fixture(scope="module")
def engine(spark_cluster: SparkCluster, s3_server: S3Server, no_session: None) -> PysparkEngine:
    """Make the engine on the cluster's master."""
    return staged_engine(s3_server, master=spark_cluster.master, options=SMALL, python=sys.executable, wait_seconds=600)


class TestOnMaster(OnClusterKit):
    """What holds on any cluster."""


class TestMasterKit(EngineKit):
    """Promises two to eight, and ten."""

    tested_on = "real server: Spark standalone"


@pytest.mark.parametrize("where", [{"master": "spark://127.0.0.1:1"}, {"remote": "sc://127.0.0.1:1"}])
def test_nobody_there(where: dict[str, str]) -> None:
    """A wrong address is told at once, with what to look for."""
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match=r"no Spark answers at s\w+://127.0.0.1:1: .*refused.*see whether"):
        PysparkEngine(**where).compute_view(spending, ORDER)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("where", ["spark://", "spark://host:port", "ftp://somewhere"])
def test_no_address(where: str) -> None:
    """What is no address is the environment's mistake."""
    with pytest.raises(InvalidEnvironment, match="write local"):
        PysparkEngine(master=where).compute_view(spending, ORDER)


def test_no_workers(tmp_path_factory: pytest.TempPathFactory, no_session: None) -> None:
    """A master without workers takes the job and never runs it: an error within the time that the environment gives."""
    from pyspark.sql import SparkSession

    end_session()
    cluster = SparkCluster(tmp_path_factory.mktemp("empty"))
    try:
        cluster.start(workers=0)
        with pytest.raises(Overloaded, match=r"no executor began within 5 s.*whether workers are there"):
            PysparkEngine(master=cluster.master, options=SMALL, wait_seconds=5).compute_view(spending, ORDER)
        assert SparkSession.getActiveSession() is None
    finally:
        cluster.stop()
