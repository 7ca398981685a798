"""Clients come with the chain's credentials."""

from __future__ import annotations

import subprocess
import sys

import pytest

from loopline.platform_core.errors import InvalidEnvironment
from loopline.resources.aws.client import Reach, make_client
from tests.emulators.aws import REGION, AwsServer

HEAVY = """
import sys
import loopline.resources.dynamodb.online_store as module
module.DynamodbOnlineStore()
print(sorted({name.split(".")[0] for name in sys.modules} & {"boto3", "botocore", "pyarrow"}))
"""


def test_a_client_is_what_it_is_asked_to_be(aws: AwsServer) -> None:
    """Region, endpoint, time-outs, tries and connections reach botocore; without an endpoint it is the region's."""
    reach = Reach(REGION, aws.url, timeout_seconds=3, connections=7, tries=2, retry_mode="adaptive")
    config = make_client("sqs", reach, "a queue").meta.config
    assert (config.connect_timeout, config.read_timeout, config.max_pool_connections) == (3, 3, 7)
    assert (config.retries["total_max_attempts"], config.retries["mode"]) == (2, "adaptive")
    assert "loopline" in config.user_agent
    assert make_client("sqs", Reach(REGION), "a queue").meta.endpoint_url == f"https://sqs.{REGION}.amazonaws.com"


def test_an_endpoint_that_is_no_url_is_the_environments_fault(aws: AwsServer) -> None:
    """The setting is told."""
    with pytest.raises(InvalidEnvironment, match=r"a queue: Invalid endpoint: nonsense → see the settings"):
        make_client("sqs", Reach(REGION, "nonsense"), "a queue")


def test_a_binding_imports_no_client() -> None:
    """Drawing a team's graph binds the store and must stay light."""
    done = subprocess.run([sys.executable, "-c", HEAVY], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
