"""The engine keeps its promises by Spark Connect: Java is the server's business alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.peers.spark_cluster import SparkCluster
from loopline.platform_core.testing.engine import EngineKit
from loopline.resources.pyspark.engine import PysparkEngine
from tests.resources.pyspark.conftest import end_session
from tests.resources.pyspark.on_cluster import OnClusterKit, staged_engine
from tests.s3_server import S3Server


@pytest.fixture(scope="module")
def engine(spark_cluster: SparkCluster, s3_server: S3Server, no_session: None) -> Iterator[PysparkEngine]:
    """Make the engine on a Spark Connect server."""
    remote = spark_cluster.connect()
    yield staged_engine(s3_server, remote=remote, wait_seconds=600)
    end_session()
    spark_cluster.stop("connect")


class TestOnConnect(OnClusterKit):
    """What holds on any cluster."""


class TestConnectKit(EngineKit):
    """Promises two to eight, and ten."""

    tested_on = "real server: Spark Connect"
