"""Online store on Cosmos DB: one item a view and entity, written by conditional writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from loopline.resources.nosql.store import DocumentStore

if TYPE_CHECKING:
    from loopline.resources.nosql.store import Service


class CosmosOnlineStore(DocumentStore):
    """Rows as items of one container of the account at ``endpoint``, such as ``https://name.documents.azure.com``.

    Who asks is found by Azure's own rules (workload identity, managed identity, ``az login``). The container is keyed
    by ``/id`` and has a time to live of -1; the account promises bounded staleness or more, and writes in one region.
    ``prefix`` stands before the name of each view. A read ends within ``timeout_seconds``; a request of a write within
    ``write_seconds``, and a write that is throttled, or meets other writers, gives up when it got nowhere for
    ``patience_seconds``.
    """

    extras = ("azure",)
    endpoint: str = Field(pattern="^https://")
    database: str = "loopline"
    container: str = "features"
    prefix: str = Field("", pattern="^[A-Za-z0-9.-]*$")

    def _below(self, name: str) -> Mapping[str, str]:
        return {"prefix": f"{self.prefix}{name}."}

    def _open(self) -> tuple[Service, int]:
        from loopline.resources.cosmos.link import Link
        from loopline.resources.cosmos.service import WRITES_AT_ONCE, CosmosService

        link = Link(self.endpoint, self.database, self.container, self.write_seconds)
        return CosmosService(link, self.write_seconds, self.prefix), WRITES_AT_ONCE
