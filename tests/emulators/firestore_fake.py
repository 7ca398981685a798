"""A strict fake of Firestore's server: Google's own messages over gRPC, the service's rules, and faults on demand.

The npm emulator ignores ``update_time`` preconditions, keeps times in milliseconds, has no BatchWrite and isolates no
transaction: two writers lose updates on it. This one keeps the four methods that the online store calls, and refuses
every field of a request that it does not know. What only this fake has shown is not shown for the service.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.cloud.firestore_v1.types import document as documents
from google.cloud.firestore_v1.types import firestore as messages
from google.rpc import status_pb2

NAME = re.compile(r"(projects/[^/]+/databases/[^/]+)/documents/((?:[^/]+/[^/]+/)*[^/]+/[^/]+)")
RESERVED = re.compile(r"\.\.?|__.*__", re.DOTALL)
MAX_WRITES, MAX_ID, MAX_DOCUMENT, MAX_REQUEST = 500, 1500, 1_048_576, 10 * 1024 * 1024
Code = grpc.StatusCode


class RefusedError(Exception):
    """An answer with a code that is not OK."""

    def __init__(self, code: grpc.StatusCode, told: str) -> None:
        super().__init__(told)
        self.code, self.told = code, told


@dataclass
class Fault:
    """What goes wrong with the next calls of a method: before it is done, after it (nobody hears), or it hangs."""

    method: str
    code: grpc.StatusCode | None = None
    after: bool = False
    times: int = 1
    of_each: int = 0
    """With BatchWrite: only so many of its writes fail, with this code."""


@dataclass
class FirestoreFake:
    """One server with the databases named; ``address`` is where it listens."""

    databases: set[str] = field(default_factory=lambda: {"projects/kit/databases/(default)"})
    token: str | None = None
    rights: bool = True
    credentials: Any = None

    def __post_init__(self) -> None:
        """Start it."""
        self.stored: dict[str, Any] = {}
        self.calls: list[tuple[str, int]] = []
        self.asked: list[tuple[str, Any]] = []
        self.faults: list[Fault] = []
        self.between: list[Callable[[], object]] = []
        self._lock, self._last_us = threading.RLock(), 0
        self._server = grpc.server(futures.ThreadPoolExecutor(64), options=[("grpc.max_receive_message_length", -1)])
        self._server.add_generic_rpc_handlers((_Handler(self),))
        if self.credentials is None:
            self.port = self._server.add_insecure_port("127.0.0.1:0")
        else:
            self.port = self._server.add_secure_port("127.0.0.1:0", self.credentials)
        self._server.start()

    @property
    def endpoint(self) -> str:
        """Return what the store's ``endpoint`` is set to."""
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """End it at once."""
        self._server.stop(None)

    def sweep(self) -> int:
        """Delete what has expired, as the service does within a day; returns how many there were."""
        now, gone = time.time(), []
        with self._lock:
            for name, document in self.stored.items():
                at = document.fields.get("expires_at")
                if at is not None and at.timestamp_value.ToMicroseconds() <= now * 1e6:
                    gone.append(name)
            for name in gone:
                del self.stored[name]
        return len(gone)

    def now_us(self) -> int:
        """Return a time that no earlier call returned."""
        with self._lock:
            self._last_us = max(self._last_us + 1, int(time.time() * 1e6))
            return self._last_us

    def fault_of(self, method: str) -> Fault | None:
        """Take the next fault of a method."""
        with self._lock:
            for fault in self.faults:
                if fault.method == method and fault.times > 0:
                    fault.times -= 1
                    return fault
        return None

    # the methods

    def batch_get_documents(self, request: Any) -> list[Any]:
        """Answer each document once, in no promised order (here: the other way round)."""
        _known(request, "database", "documents")
        self._database(request.database)
        answers = []
        with self._lock:
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
        _known(request, "database", "writes")
        self._database(request.database)
        if len(request.writes) > MAX_WRITES:
            raise RefusedError(Code.INVALID_ARGUMENT, f"maximum {MAX_WRITES} writes allowed per request")
        names = [_target(write) for write in request.writes]
        if len(set(names)) != len(names):
            raise RefusedError(Code.INVALID_ARGUMENT, "cannot write to the same document more than once")
        while self.between:
            self.between.pop()()
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
        _known(request, "database", "writes")
        self._database(request.database)
        answer = messages.CommitResponse.pb(messages.CommitResponse())
        with self._lock:
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
        _known(request, "parent", "structured_query")
        query = request.structured_query
        _known(query, "select", "from_", "order_by", "start_at", "limit")
        fields = [one.field_path for one in query.select.fields]
        orders = [(one.field.field_path, one.direction) for one in query.order_by]
        source = query.from_
        if fields != ["__name__"] or orders != [("__name__", 1)] or len(source) != 1 or query.start_at.before:
            raise RefusedError(Code.INVALID_ARGUMENT, "this fake lists names in their order, and nothing else")
        after = query.start_at.values[0].reference_value if query.start_at.values else ""
        head = f"{request.parent}/{source[0].collection_id}/"
        with self._lock:
            inside = sorted(name for name in self.stored if name.startswith(head) and "/" not in name[len(head) :])
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
        _known(write, "update", "delete", "current_document")
        name = _target(write)
        _checked(name, database)
        if write.WhichOneof("operation") == "update":
            _sized(write.update)
        with self._lock:
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


def _known(message: Any, *fields: str) -> None:
    strange = [each.name for each, _ in message.ListFields() if each.name not in fields]
    if strange:
        raise RefusedError(Code.INVALID_ARGUMENT, f"this fake does not know {strange} of {type(message).__name__}")


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


class _Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Gives each known method of the service its answer."""

    def __init__(self, fake: FirestoreFake) -> None:
        self._fake = fake
        self._methods: dict[str, tuple[Any, Callable[..., Any], bool]] = {
            "BatchGetDocuments": (messages.BatchGetDocumentsRequest, self._plain(fake.batch_get_documents), True),
            "BatchWrite": (messages.BatchWriteRequest, fake.batch_write, False),
            "Commit": (messages.CommitRequest, self._plain(fake.commit), False),
            "RunQuery": (messages.RunQueryRequest, self._plain(fake.run_query), True),
        }

    @staticmethod
    def _plain(method: Callable[[Any], Any]) -> Callable[[Any, Fault | None], Any]:
        return lambda request, _: method(request)

    def service(self, details: Any) -> Any:
        """Find a method; another one is UNIMPLEMENTED."""
        service, _, name = details.method.lstrip("/").partition("/")
        if service != "google.firestore.v1.Firestore" or name not in self._methods:
            return None
        kind, method, streams = self._methods[name]
        read = type(kind.pb(kind())).FromString

        def unary(data: bytes, context: Any) -> bytes:
            answer: bytes = self._answer(name, data, read, method, context).SerializeToString()
            return answer

        def stream(data: bytes, context: Any) -> Iterator[bytes]:
            for one in self._answer(name, data, read, method, context):
                yield one.SerializeToString()

        if streams:
            return grpc.unary_stream_rpc_method_handler(stream)
        return grpc.unary_unary_rpc_method_handler(unary)

    def _answer(self, name: str, data: bytes, read: Any, method: Callable[..., Any], context: Any) -> Any:
        fake, fault = self._fake, self._fake.fault_of(name)
        try:
            self._let_in(dict(context.invocation_metadata()))
            if len(data) > MAX_REQUEST:
                raise RefusedError(Code.INVALID_ARGUMENT, f"{len(data)} bytes are too many")  # noqa: TRY301
            while fault is not None and fault.code is None and context.is_active():
                time.sleep(0.01)  # it hangs
            if fault is not None and fault.code is not None and not fault.after and not fault.of_each:
                raise RefusedError(fault.code, "a fault of the tests")  # noqa: TRY301
            request = read(data)
            fake.asked.append((name, request))
            fake.calls.append((name, len(getattr(request, "documents", ()) or getattr(request, "writes", ()))))
            answer = method(request, fault)
            if fault is not None and fault.after:
                raise RefusedError(fault.code or Code.UNAVAILABLE, "the answer was lost")  # noqa: TRY301
        except RefusedError as refused:
            context.abort(refused.code, refused.told)
        return answer

    def _let_in(self, metadata: dict[str, Any]) -> None:
        if self._fake.token is not None and metadata.get("authorization") != f"Bearer {self._fake.token}":
            raise RefusedError(Code.UNAUTHENTICATED, "Request had invalid authentication credentials.")
        if not self._fake.rights:
            raise RefusedError(Code.PERMISSION_DENIED, "Missing or insufficient permissions.")
