"""Online store on Firestore: one document a view and entity, written by conditional writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from loopline.resources.nosql.store import DocumentStore

if TYPE_CHECKING:
    from loopline.resources.nosql.store import Service


class FirestoreOnlineStore(DocumentStore):
    """Rows as documents of ``<collection>/<view>/<collection>_rows``, in the database ``database`` of ``project``.

    Who asks is found by Google's own rules (workload identity, a service account, ``gcloud auth``); ``project`` too
    when it is left out. ``endpoint`` is another host than the service's, or ``http://host:port`` of an emulator. A read
    ends within ``timeout_seconds``; a request of a write within ``write_seconds``, and a write that is throttled, or
    meets other writers, gives up when it got nowhere for ``patience_seconds``.
    """

    extras = ("gcp",)
    project: str | None = None
    database: str = "(default)"
    collection: str = Field("loopline", pattern="^[A-Za-z][A-Za-z0-9-]{0,99}$")
    endpoint: str | None = None

    def _below(self, name: str) -> Mapping[str, str]:
        return {"collection": f"{self.collection}-{name}"}

    def _open(self) -> tuple[Service, int]:
        from loopline.resources.firestore.documents import WRITES
        from loopline.resources.firestore.link import Link
        from loopline.resources.firestore.service import FirestoreService

        link = Link(self.project, self.database, self.endpoint)
        return FirestoreService(link, self.collection, self.write_seconds), WRITES
