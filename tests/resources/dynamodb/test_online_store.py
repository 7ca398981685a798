"""DynamoDB keeps the online store's promises: boto3 against moto's server, and a proxy that does what clouds do."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from loopline.platform_core.testing.online_store import OnlineStoreKit
from loopline.resources.dynamodb.online_store import DynamodbOnlineStore
from tests.emulators.aws import REGION, AwsServer


@pytest.fixture
def table() -> str:
    """Name a table that no other test has."""
    return f"online-{uuid.uuid4().hex}"


@pytest.fixture
def store(aws: AwsServer, table: str) -> Iterator[DynamodbOnlineStore]:
    """Open a store on a table that is made when it is written."""
    store = DynamodbOnlineStore(table=table, region=REGION, endpoint_url=aws.url, create=True, timeout_seconds=30)
    yield store
    store.close()
    store.close()


@pytest.fixture
def opened_anew(store: DynamodbOnlineStore) -> Iterator[DynamodbOnlineStore]:
    """Open the same table again."""
    again = DynamodbOnlineStore(**store.model_dump())
    yield again
    again.close()


class TestDynamodbOnlineStore(OnlineStoreKit):
    """Every promise of the contract."""

    many = 350  # four requests of a read; the emulator takes 4 ms a write
