"""Cosmos DB container client, with timeouts and error mapping."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from loopline.platform_core.errors import InvalidEnvironment, Unsupported
from loopline.resources.cosmos import failure

CONNECT_SECONDS = 5
CONNECTIONS = 10
"""As many as the client keeps open; one more would be made, greeted and thrown away for a single request."""
LOOK_SECONDS = 10
"""After so long, who finds nothing looks whether there is a container at all."""
STRONG_ENOUGH = ("Strong", "BoundedStaleness")
"""Levels at which a reader in the region of the writes sees what another process wrote."""
_KEYED_BY = {"paths": ["/id"], "kind": "Hash", "version": 2}
_ANY_PAGE = 500
OF_VIEW = "SELECT c.id FROM c WHERE c.view = @view"
BELOW = "SELECT c.id FROM c WHERE STARTSWITH(c.view, @view)"


class Link:
    """A client of one container, by the identity of this process.

    Raises:
        InvalidEnvironment: there is no such container, or it is made otherwise. Unsupported: the account promises less.
    """

    def __init__(self, endpoint: str, database: str, container: str, seconds: float) -> None:
        from azure.cosmos import CosmosClient
        from azure.identity import DefaultAzureCredential

        self.place = f"{database}/{container} at {endpoint}"
        self._credential = DefaultAzureCredential()
        self._readers = ThreadPoolExecutor(CONNECTIONS, "loopline-cosmos-read")
        self.writers = ThreadPoolExecutor(CONNECTIONS, "loopline-cosmos-write")
        with self._translated():
            # who asks decides whether to try again, so the client does not
            self._client = CosmosClient(
                endpoint,
                self._credential,
                connection_timeout=CONNECT_SECONDS,
                read_timeout=seconds,
                retry_total=0,
                retry_throttle_total=-1,  # 0 would be taken for "as many as usual"
                no_response_on_write=True,
            )
            self._container = self._client.get_database_client(database).get_container_client(container)
            account, made = self._client.get_database_account(), self._container.read()
        _see_that_it_serves(self.place, account, made)
        self._looked_at = time.monotonic()

    def items(self, ids: Sequence[str], seconds: float) -> list[dict[str, Any]]:
        """Read the items that exist, in any order: one by point, several by a query a physical partition."""
        with self._translated():
            pairs = [(one, one) for one in ids]
            found = list(self._container.read_items(pairs, executor=self._readers, **_ended(seconds)))
            if not found and time.monotonic() - self._looked_at > LOOK_SECONDS:
                self._container.read(
                    **_ended(seconds)
                )  # to a read by point, a container that is gone is a missing item
                self._looked_at = time.monotonic()
        return found

    def create(self, item: Mapping[str, Any], seconds: float) -> bool:
        """Create an item; says whether there was none."""
        with self._translated():
            return _done({failure.TAKEN}, self._container.create_item, item, **_ended(seconds))

    def replace(self, item: Mapping[str, Any], etag: str, seconds: float) -> bool:
        """Replace an item if it has this ETag; says whether it had."""
        with self._translated():
            how = {**_if(etag), **_ended(seconds)}
            return _done({failure.GONE, failure.ANOTHER}, self._container.replace_item, item["id"], item, **how)

    def delete(self, name: str, etag: str | None, seconds: float) -> bool:
        """Delete an item if it has this ETag (None: whatever it has); says whether it was there so."""
        with self._translated():
            how = {**({} if etag is None else _if(etag)), **_ended(seconds)}
            return _done({failure.GONE, failure.ANOTHER}, self._container.delete_item, name, name, **how)

    def ids(self, view: str, seconds: float, *, below: bool = False) -> list[str]:
        """Return the ids of some items of a view, or of those whose names begin so if ``below``."""
        with self._translated():
            pages = self._container.query_items(
                BELOW if below else OF_VIEW,
                parameters=[{"name": "@view", "value": view}],
                enable_cross_partition_query=True,
                max_item_count=_ANY_PAGE,
                **_ended(seconds),
            ).by_page()
            return next(([one["id"] for one in page] for page in pages), [])

    def close(self) -> None:
        """Let connections and threads go."""
        for threads in (self._readers, self.writers):
            threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()
        self._credential.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except failure.known() as error:
            raise failure.of_client(error, self.place) from error


def _see_that_it_serves(place: str, account: Any, made: Mapping[str, Any]) -> None:
    """Refuse an account or a container on which promises of the contract would not hold."""
    level = (account.ConsistencyPolicy or {}).get("defaultConsistencyLevel")
    if level not in STRONG_ENOUGH:
        problem = f"Cosmos DB {place}: consistency {level} lets other processes read what is old"
        fix = "'az cosmosdb update --default-consistency-level BoundedStaleness' (or Strong), or bind another store"
        raise Unsupported(problem, fix)
    if getattr(account, "_EnableMultipleWritableLocations", False):  # the client tells it nowhere else
        problem = f"Cosmos DB {place}: with several regions that write, conditions on writes hold in one region only"
        raise Unsupported(
            problem, "'az cosmosdb update --enable-multiple-write-locations false', or bind another store"
        )
    if {name: made.get("partitionKey", {}).get(name) for name in _KEYED_BY} != _KEYED_BY:
        problem = f"Cosmos DB {place}: the partition key is {made.get('partitionKey')}"
        raise InvalidEnvironment(problem, "make the container with --partition-key-path /id --partition-key-version 2")
    if made.get("defaultTtl") != -1:
        problem = f"Cosmos DB {place}: the default time to live is {made.get('defaultTtl', 'off')}"
        raise InvalidEnvironment(problem, "'az cosmosdb sql container update --ttl -1': each row says its own")


def _done(beaten: AbstractSet[int], write: Any, *what: Any, **how: Any) -> bool:
    """Write; says whether the item was as it was seen. Where the container is gone, the next read says so."""
    from azure.cosmos.exceptions import CosmosHttpResponseError

    try:
        write(*what, **how)
    except CosmosHttpResponseError as error:
        if error.status_code in beaten:
            return False
        raise
    return True


def _if(etag: str) -> dict[str, Any]:
    from azure.core import MatchConditions

    return {"etag": etag, "match_condition": MatchConditions.IfNotModified}


def _ended(seconds: float) -> dict[str, Any]:
    """Return by when a call is to end: in all, and with each wait for the socket."""
    return {"timeout": seconds, "read_timeout": seconds, "connection_timeout": min(seconds, CONNECT_SECONDS)}
