"""What the tests of states in an object store share."""

from __future__ import annotations

import pytest

from loopline.resources.object_store.objects import Objects
from loopline.resources.object_store.states import ObjectStates
from tests.s3_server import S3Server


@pytest.fixture
def objects(s3_server: S3Server) -> Objects:
    """Give a prefix of the test's own."""
    return Objects(s3_server.place(), s3_server.options)


@pytest.fixture
def store(objects: Objects) -> ObjectStates:
    """The side of whoever deploys."""
    return ObjectStates(objects)


@pytest.fixture
def feed(objects: Objects) -> ObjectStates:
    """The servers' side, which has read nothing yet."""
    return ObjectStates(objects)
