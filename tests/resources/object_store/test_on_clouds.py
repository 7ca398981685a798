"""States, packages and logs of servers on Cloud Storage and Azure's Blob storage, as they are on S3."""

from __future__ import annotations

import pytest

from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.testing.log_store import LogStoreKit
from loopline.resources.object_store.logs import ObjectLogs
from loopline.resources.object_store.objects import Objects
from tests.emulators.stores import StoreServer
from tests.resources.object_store.altering import ObjectStatesKit

pytestmark = pytest.mark.parametrize("cloud", ["gs", "az"])


@pytest.fixture
def objects(store_server: StoreServer) -> Objects:
    """Give a prefix of the test's own."""
    return Objects(store_server.place(), {**store_server.options, "allow_http": "true"})


class TestStates(ObjectStatesKit):
    """Every promise."""


class TestLogs(LogStoreKit):
    """Every promise, which needs listing from an offset."""

    @pytest.fixture
    def store(self, objects: Objects) -> ObjectLogs:
        """Logs below a prefix of the test's own."""
        return ObjectLogs(objects)

    @pytest.fixture
    def sink(self, store: ObjectLogs) -> ObjectLogs:
        """The same: it holds nothing in memory."""
        return store


def test_a_listing_begins_after_its_offset(objects: Objects) -> None:
    """The offset itself is left out, and what is listed is known by the ETag by which it is read."""
    for name in "abcd":
        objects.write(f"f/{name}", name.encode())
    assert [one.key for one in objects.listed("f", "b")] == ["f/c", "f/d"]
    for one in objects.listed("f"):
        found = objects.read(one.key)
        assert found == (one.key[-1].encode(), one.etag)
        assert objects.etag(one.key, one.etag) == one.etag


def test_a_write_on_condition_holds(objects: Objects) -> None:
    """Also where the same content stands there again, which has the same ETag in Cloud Storage."""
    assert objects.write_if("a", b"1", None)
    assert not objects.write_if("a", b"2", None)
    first = objects.read("a")
    assert first is not None
    assert objects.write_if("a", b"2", first[1])
    assert not objects.write_if("a", b"3", first[1])
    found = objects.read("a")
    assert found is not None
    assert found[0] == b"2"
    assert not objects.write_if("a", b"3", first[1])  # as a thread does that read before another one read


def test_a_wrong_secret_is_refused(store_server: StoreServer) -> None:
    """With what to give."""
    wrong = Objects(store_server.place(), {**store_server.wrong_secret(), "allow_http": "true"})
    for ask in (lambda: wrong.read("a"), lambda: wrong.listed("a"), lambda: wrong.write("a", b"")):
        with pytest.raises(StoreUnavailable, match="give this identity the right"):
            ask()
