"""A strict fake of Firestore's server: Google's own messages over gRPC, the service's rules, and faults on demand.

The npm emulator ignores ``update_time`` preconditions, keeps times in milliseconds, has no BatchWrite and isolates no
transaction: two writers lose updates on it. This one keeps the four methods that the online store calls, and refuses
every field of a request that it does not know. What only this fake has shown is not shown for the service.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from google.cloud.firestore_v1.types import document as documents
from google.cloud.firestore_v1.types import firestore as messages
from google.rpc import status_pb2

from tests.emulators.google_fake import Code, Fault, GoogleFake, Method, RefusedError, known

NAME = re.compile(r"(projects/[^/]+/databases/[^/]+)/documents/((?:[^/]+/[^/]+/)*[^/]+/[^/]+)")
RESERVED = re.compile(r"\.\.?|__.*__", re.DOTALL)
MAX_WRITES, MAX_ID, MAX_DOCUMENT = 500, 1500, 1_048_576


@dataclass
class FirestoreFake(GoogleFake):
    """One server with the databases named."""

    databases: set[str] = field(default_factory=lambda: {"projects/kit/databases/(default)"})

    def __post_init__(self) -> None:
        """Start it."""
        self.stored: dict[str, Any] = {}
        self._last_us = 0
        super().__post_init__()

    def methods(self) -> dict[str, Method]:
        """Answer these."""
        return {
            f"/google.firestore.v1.Firestore/{name}": method
            for name, method in {
                "BatchGetDocuments": Method(
                    messages.BatchGetDocumentsRequest,
                    _plain(self.batch_get_documents),
                    True,
                    lambda asked: len(asked.documents),
                ),
                "BatchWrite": Method(
                    messages.BatchWriteRequest, self.batch_write, size=lambda asked: len(asked.writes)
                ),
                "Commit": Method(messages.CommitRequest, _plain(self.commit), size=lambda asked: len(asked.writes)),
                "RunQuery": Method(messages.RunQueryRequest, _plain(self.run_query), True, lambda _: 0),
            }.items()
        }

    def sweep(self) -> int:
        """Delete what has expired, as the service does within a day; returns how many there were."""
        now, gone = time.time(), []
        with self.lock:
            for name, document in self.stored.items():
                at = document.fields.get("expires_at")
                if at is not None and at.timestamp_value.ToMicroseconds() <= now * 1e6:
                    gone.append(name)
            for name in gone:
                del self.stored[name]
        return len(gone)

    def now_us(self) -> int:
        """Return a time that no earlier call returned."""
        with self.lock:
            self._last_us = max(self._last_us + 1, int(time.time() * 1e6))
            return self._last_us

    # the methods

    def batch_get_documents(self, request: Any) -> list[Any]:
        """Answer each document once, in no promised order (here: the other way round)."""
        known(request, "database", "documents")
        self._database(request.database)
        answers = []
        with self.lock:
            for name in reversed(list(dict.fromkeys(request.documents))):
                _checked(name, request.database)
                answer = messages.BatchGetDocumentsResponse.pb(messages.BatchGetDocumentsResponse())
                if name in self.stored:
                    answer.found.CopyFrom(self.stored[name])
                else:
                    answer.missing = name
                answer.read_time.FromMicroseconds(self.now_us())
                answers.append(answer)
        return answers

    def batch_write(self, request: Any, fault: Fault | None) -> Any:
        """Make each write by itself; none may name a document twice."""
        known(request, "database", "writes")
        self._database(request.database)
        if len(request.writes) > MAX_WRITES:
            raise RefusedError(Code.INVALID_ARGUMENT, f"maximum {MAX_WRITES} writes allowed per request")
        names = [_target(write) for write in request.writes]
        if len(set(names)) != len(names):
            raise RefusedError(Code.INVALID_ARGUMENT, "cannot write to the same document more than once")
        self.happen()
        answer = messages.BatchWriteResponse.pb(messages.BatchWriteResponse())
        for place, write in enumerate(request.writes):
            result, status = answer.write_results.add(), status_pb2.Status()
            try:
                if fault is not None and fault.code is not None and place < fault.of_each:
                    raise RefusedError(fault.code, "too much")  # noqa: TRY301
                result.update_time.FromMicroseconds(self._write(write, request.database))
            except RefusedError as refused:
                status.code, status.message = refused.code.value[0], refused.told
            answer.status.append(status)
        return answer

    def commit(self, request: Any) -> Any:
        """Make all writes or none; without a transaction."""
        known(request, "database", "writes")
        self._database(request.database)
        answer = messages.CommitResponse.pb(messages.CommitResponse())
        with self.lock:
            before = dict(self.stored)
            try:
                for write in request.writes:
                    answer.write_results.add().update_time.FromMicroseconds(self._write(write, request.database))
            except RefusedError:
                self.stored = before
                raise
        answer.commit_time.FromMicroseconds(self.now_us())
        return answer

    def run_query(self, request: Any) -> list[Any]:
        """Answer names of a collection's documents after one, in the order of their bytes."""
        known(request, "parent", "structured_query")
        query = request.structured_query
        known(query, "select", "from_", "order_by", "start_at", "limit")
        fields = [one.field_path for one in query.select.fields]
        orders = [(one.field.field_path, one.direction) for one in query.order_by]
        source = query.from_
        if fields != ["__name__"] or orders != [("__name__", 1)] or len(source) != 1 or query.start_at.before:
            raise RefusedError(Code.INVALID_ARGUMENT, "this fake lists names in their order, and nothing else")
        after = query.start_at.values[0].reference_value if query.start_at.values else ""
        depth = "(.*/)?" if source[0].all_descendants else ""
        inside_of = re.compile(f"{re.escape(request.parent)}/{depth}{re.escape(source[0].collection_id)}/[^/]+")
        with self.lock:
            inside = sorted(name for name in self.stored if inside_of.fullmatch(name))
            names = [name for name in inside if name > after][: query.limit.value or None]
        answers = []
        for name in names or [""]:
            answer = messages.RunQueryResponse.pb(messages.RunQueryResponse())
            answer.read_time.FromMicroseconds(self.now_us())
            if name:
                answer.document.name = name
            answers.append(answer)
        return answers

    def _database(self, name: str) -> None:
        if name not in self.databases:
            raise RefusedError(Code.NOT_FOUND, f"The database {name} does not exist")

    def _write(self, write: Any, database: str) -> int:
        known(write, "update", "delete", "current_document")
        name = _target(write)
        _checked(name, database)
        if write.WhichOneof("operation") == "update":
            _sized(write.update)
        with self.lock:
            self._meet(write, self.stored.get(name))
            now_us = self.now_us()
            if write.WhichOneof("operation") == "delete":
                self.stored.pop(name, None)
                return now_us
            document = documents.Document.pb(documents.Document())
            document.CopyFrom(write.update)
            document.update_time.FromMicroseconds(now_us)
            was = self.stored.get(name)
            document.create_time.CopyFrom(document.update_time if was is None else was.create_time)
            self.stored[name] = document
            return now_us

    def _meet(self, write: Any, was: Any) -> None:
        """Hold a write to its precondition."""
        kind = write.current_document.WhichOneof("condition_type")
        if kind == "exists" and write.current_document.exists != (was is not None):
            code = Code.ALREADY_EXISTS if was is not None else Code.NOT_FOUND
            raise RefusedError(code, "the document exists already, or does not")
        if kind == "update_time":
            if was is None:
                raise RefusedError(Code.NOT_FOUND, "no document to update")
            if was.update_time != write.current_document.update_time:
                raise RefusedError(Code.FAILED_PRECONDITION, "the stored version does not match the required one")


def _target(write: Any) -> str:
    name: str = write.update.name if write.WhichOneof("operation") == "update" else write.delete
    return name


def _checked(name: str, database: str) -> None:
    found = NAME.fullmatch(name)
    if found is None or found[1] != database:
        raise RefusedError(Code.INVALID_ARGUMENT, f"{name!r} is no document of {database}")
    for part in found[2].split("/"):
        if RESERVED.fullmatch(part) or len(part.encode()) > MAX_ID:
            raise RefusedError(Code.INVALID_ARGUMENT, f"{part[:40]!r} is no name of a document or collection")


def _sized(document: Any) -> None:
    size = len(document.name) + 32
    for name, value in document.fields.items():
        kind = value.WhichOneof("value_type")
        if kind not in ("bytes_value", "timestamp_value"):
            raise RefusedError(Code.INVALID_ARGUMENT, f"this fake keeps no {kind}")
        size += len(name) + 1 + (len(value.bytes_value) if kind == "bytes_value" else 8)
    if size > MAX_DOCUMENT:
        raise RefusedError(Code.INVALID_ARGUMENT, f"a document of {size} bytes is larger than {MAX_DOCUMENT}")


def _plain(method: Callable[[Any], Any]) -> Callable[[Any, Fault | None], Any]:
    return lambda request, _: method(request)
