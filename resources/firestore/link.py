"""Requests to a Firestore database, each ended in time; every failure is told as one of ours."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from loopline.platform_core.errors import InvalidEnvironment
from loopline.resources.firestore import failure

PLAIN = "http://"
EMULATOR = "FIRESTORE_EMULATOR_HOST"
"""By which Google's tools say where an emulator runs."""


class Link:
    """A client of one database; ``endpoint`` is a host, or ``http://host:port`` of an emulator, which asks for nobody.

    Raises:
        InvalidEnvironment: there is no identity, or no project.
    """

    def __init__(self, project: str | None, database: str, endpoint: str | None) -> None:
        from google.cloud.firestore_v1.services.firestore import FirestoreClient

        with _translated(database):
            transport, found = _transport(endpoint)
        project = project or os.environ.get("GOOGLE_CLOUD_PROJECT") or found
        if not project:
            raise InvalidEnvironment("no project for Firestore is known", "set 'project' in the environment file")
        self.database = f"projects/{project}/databases/{database}"
        self.root = f"{self.database}/documents"
        self._client = FirestoreClient(transport=transport)
        self._metadata = [("google-cloud-resource-prefix", self.database)]

    def documents(self, names: Sequence[str], timeout_seconds: float) -> tuple[int, dict[str, Any]]:
        """Read documents; returns the service's time (µs since 1970) and those that exist, by name."""
        from google.cloud.firestore_v1.types import firestore as messages

        request = messages.BatchGetDocumentsRequest(database=self.database, documents=names)
        found, now_us = {}, 0
        with _translated(self.database):
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
        with _translated(self.database):
            answer = self._client.batch_write(request, **self._options(timeout_seconds))
        return list(messages.BatchWriteResponse.pb(answer).status)

    def names(self, parent: str, group: str, after: str, most: int, timeout_seconds: float) -> list[str]:
        """Return the names of a view's documents after one, in their order."""
        from google.cloud.firestore_v1.types import firestore as messages

        request = messages.RunQueryRequest(parent=parent)
        query = messages.RunQueryRequest.pb(request).structured_query
        query.select.fields.add(field_path="__name__")
        query.from_.add(collection_id=group)
        query.order_by.add(direction=1).field.field_path = "__name__"
        query.limit.value = most
        if after:
            query.start_at.values.add(reference_value=after)
            query.start_at.before = False
        with _translated(self.database):
            answers = self._client.run_query(request, **self._options(timeout_seconds))
            return [answer.document.name for answer in answers if answer.document.name]

    def close(self) -> None:
        """Let the channel go."""
        self._client.transport.close()

    def _options(self, timeout_seconds: float) -> dict[str, Any]:
        # who asks decides whether to try again
        return {"timeout": timeout_seconds, "retry": None, "metadata": self._metadata}


def _transport(endpoint: str | None) -> tuple[Any, str | None]:
    """Open a channel; with the identity of this process, unless it is an emulator's."""
    import google.auth
    import grpc
    from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport

    emulator = os.environ.get(EMULATOR)
    plain = endpoint.removeprefix(PLAIN) if endpoint and endpoint.startswith(PLAIN) else emulator
    if plain and (endpoint is None or endpoint.startswith(PLAIN)):
        return FirestoreGrpcTransport(host=plain, channel=grpc.insecure_channel(plain)), None
    credentials, project = google.auth.default(scopes=FirestoreGrpcTransport.AUTH_SCOPES)
    host = endpoint or FirestoreGrpcTransport.DEFAULT_HOST
    return FirestoreGrpcTransport(host=host, credentials=credentials), project


@contextmanager
def _translated(database: str) -> Iterator[None]:
    try:
        yield
    except failure.known() as error:
        raise failure.of_client(error, database) from error
