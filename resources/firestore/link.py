"""Firestore client, with timeouts and error mapping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loopline.resources.google_cloud.channel import project_of, transport_of
from loopline.resources.google_cloud.failure import Asked, translated

EMULATOR = "FIRESTORE_EMULATOR_HOST"
"""By which Google's tools say where an emulator runs."""


class Link:
    """A client of one database; ``endpoint`` is a host, or ``http://host:port`` of an emulator, which asks for nobody.

    Raises:
        InvalidEnvironment: there is no identity, or no project.
    """

    def __init__(self, project: str | None, database: str, endpoint: str | None) -> None:
        from google.cloud.firestore_v1.services.firestore import FirestoreClient
        from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport

        with translated(_asked(database)):
            transport, found = transport_of(FirestoreGrpcTransport, endpoint, EMULATOR)
        self.database = f"projects/{project_of(project, found, 'Firestore')}/databases/{database}"
        self.asked = _asked(self.database)
        self.root = f"{self.database}/documents"
        self._client = FirestoreClient(transport=transport)
        self._metadata = [("google-cloud-resource-prefix", self.database)]

    def documents(self, names: Sequence[str], timeout_seconds: float) -> tuple[int, dict[str, Any]]:
        """Read documents; returns the service's time (µs since 1970) and those that exist, by name."""
        from google.cloud.firestore_v1.types import firestore as messages

        request = messages.BatchGetDocumentsRequest(database=self.database, documents=names)
        found, now_us = {}, 0
        with translated(self.asked):
            for answer in self._client.batch_get_documents(request, **self._options(timeout_seconds)):
                message = messages.BatchGetDocumentsResponse.pb(answer)
                now_us = max(now_us, message.read_time.ToMicroseconds())
                if message.HasField("found"):
                    found[message.found.name] = message.found
        return now_us, found

    def write(self, writes: Sequence[Any], timeout_seconds: float) -> list[Any]:
        """Make writes, each on its own condition; returns the ``google.rpc.Status`` of each."""
        from google.cloud.firestore_v1.types import firestore as messages

        request = messages.BatchWriteRequest(database=self.database)
        messages.BatchWriteRequest.pb(request).writes.extend(writes)
        with translated(self.asked):
            answer = self._client.batch_write(request, **self._options(timeout_seconds))
        return list(messages.BatchWriteResponse.pb(answer).status)

    def names(  # noqa: PLR0913 - what the service's query has
        self, parent: str, group: str, after: str, most: int, timeout_seconds: float, *, anywhere: bool = False
    ) -> list[str]:
        """Return the names of a view's documents after one, in their order; of every view if ``anywhere``."""
        from google.cloud.firestore_v1.types import firestore as messages

        request = messages.RunQueryRequest(parent=parent)
        query = messages.RunQueryRequest.pb(request).structured_query
        query.select.fields.add(field_path="__name__")
        query.from_.add(collection_id=group, all_descendants=anywhere)
        query.order_by.add(direction=1).field.field_path = "__name__"
        query.limit.value = most
        if after:
            query.start_at.values.add(reference_value=after)
            query.start_at.before = False
        with translated(self.asked):
            answers = self._client.run_query(request, **self._options(timeout_seconds))
            return [answer.document.name for answer in answers if answer.document.name]

    def close(self) -> None:
        """Let the channel go."""
        self._client.transport.close()

    def _options(self, timeout_seconds: float) -> dict[str, Any]:
        # who asks decides whether to try again
        return {"timeout": timeout_seconds, "retry": None, "metadata": self._metadata}


def _asked(database: str) -> Asked:
    name = database.rpartition("/")[2]
    return Asked(
        f"Firestore {database}",
        f"create it ('gcloud firestore databases create --database={name}'), or name another",
        "grant this identity roles/datastore.user on the project, and enable firestore.googleapis.com",
    )
