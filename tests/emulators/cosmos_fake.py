"""A strict fake of Cosmos DB's gateway over TLS, and of the place where a managed identity gets its tokens.

It keeps the service's rules on items of one container (ids, sizes, partition keys, ETags, throttling, tokens), shows
what has expired until it is swept, and refuses every request that it does not know. What only this fake has shown is
not shown for the service.
"""

from __future__ import annotations

import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.emulators import http_server
from tests.emulators.app_identity import Identity
from tests.emulators.http_server import Request, Serving, as_json, certified

HOST = "127.0.0.2"
"""The client checks no certificate of 127.0.0.1 and localhost, so the fake has another address of this machine."""
COLLECTION = "/dbs/loopline/colls/features"
FORBIDDEN = re.compile(r"[/\\?#]")
MAX_ID, MAX_ITEM = 1023, 2 * 1024 * 1024
IN_QUERY = re.compile(r"SELECT \* FROM c WHERE c\.id IN \( (@param_id\d+(?:, @param_id\d+)*) \)")
OF_VIEW = {
    "SELECT c.id FROM c WHERE c.view = @view": str.__eq__,
    "SELECT c.id FROM c WHERE STARTSWITH(c.view, @view)": str.startswith,
}
SYSTEM = ("_etag", "_ts", "_rid", "_self", "_attachments")
Answer = tuple[int, Any, dict[str, str]]


class RefusedError(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, told: str, **headers: str) -> None:
        super().__init__(told)
        self.answer: Answer = status, {"code": str(status), "message": told}, headers


@dataclass
class Fault:
    """What goes wrong with the next calls of a kind: before it is done, after it (the answer is lost), or it hangs."""

    kind: str
    status: int = 503
    after: bool = False
    hangs: bool = False
    times: int = 1
    retry_ms: int = 20


@dataclass
class CosmosFake:
    """One account with one container; ``url`` is the account's endpoint, ``authority`` the file of who signed it."""

    folder: Path
    consistency: str = "BoundedStaleness"
    several_writers: bool = False
    container: dict[str, Any] = field(
        default_factory=lambda: {
            "id": "features",
            "_rid": "rid==",
            "_self": "dbs/a/colls/b/",
            "partitionKey": {"paths": ["/id"], "kind": "Hash", "version": 2},
            "defaultTtl": -1,
        }
    )
    ranges: int = 2
    page: int = 100

    def __post_init__(self) -> None:
        """Start both servers."""
        self.items: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []
        self.faults: list[Fault] = []
        self.between: list[Callable[[], object]] = []
        self.tokens = {"good"}
        self.rights = self.there = True
        self.lock, self.over = threading.RLock(), threading.Event()
        self.authority, trust = certified(self.folder, HOST)
        self._account, self._identity = Serving(self._answer, trust=trust, host=HOST), Identity("good")
        self.url = self._account.url

    @property
    def environment(self) -> dict[str, str]:
        """Return by which variables a process has the managed identity, and trusts the fake."""
        return {**self._identity.environment, "REQUESTS_CA_BUNDLE": str(self.authority)}

    def stop(self) -> None:
        """End both servers."""
        self.over.set()
        self._account.stop()
        self._identity.end()

    def _answer(self, request: Request) -> http_server.Answer | None:
        status, found, more = self.answer(request.method, urlsplit(request.path).path, request.headers, request.body)
        if self.over.is_set():
            return None
        return as_json(status, found, more) if found is not None else http_server.Answer(status, b"", more)

    def sweep(self) -> int:
        """Delete what has expired; returns how many items there were."""
        with self.lock:
            now = time.time()
            gone = [name for name, item in self.items.items() if "ttl" in item and item["_ts"] + item["ttl"] <= now]
            for name in gone:
                del self.items[name]
        return len(gone)

    def answer(self, verb: str, path: str, headers: Any, body: bytes) -> Answer:
        """Answer one request to the account."""
        kind = _kind(verb, path, headers)
        fault = self._begin(kind)
        try:
            self._let_in(headers)
            if fault is not None and fault.hangs:
                self.over.wait(60)
            if fault is not None and not fault.after:
                raise _of_fault(fault)
            while kind in ("create", "replace", "delete") and self.between:
                self.between.pop()()
            answer = getattr(self, f"_{kind}")(path, headers, json.loads(body) if body else None)
            if fault is not None:
                raise _of_fault(fault)
        except RefusedError as refused:
            return refused.answer
        status, found, more = answer
        return status, found, {"x-ms-request-charge": "1", "x-ms-session-token": "0:1#1", **more}

    def _begin(self, kind: str) -> Fault | None:
        with self.lock:
            self.calls.append(kind)
            for fault in self.faults:
                if fault.kind == kind and fault.times > 0:
                    fault.times -= 1
                    return fault
        return None

    def _let_in(self, headers: Any) -> None:
        sent = parse_qs(unquote(headers.get("authorization", "")))
        if sent.get("type") != ["aad"] or sent.get("sig", [""])[0] not in self.tokens:
            raise RefusedError(401, "The input authorization token can't serve the request.")
        if not self.rights:
            raise RefusedError(403, "Request blocked by Auth: no RBAC permissions", **{"x-ms-substatus": "5302"})

    # what it answers

    def _account_(self, path: str, headers: Any, body: Any) -> Answer:
        place = [{"name": "here", "databaseAccountEndpoint": self.url + "/"}]
        account = {"id": "kit", "_rid": "kit", "_self": "", "writableLocations": place, "readableLocations": place}
        account |= {"enableMultipleWriteLocations": self.several_writers, "queryEngineConfiguration": "{}"}
        return 200, account | {"userConsistencyPolicy": {"defaultConsistencyLevel": self.consistency}}, {}

    def _container(self, path: str, headers: Any, body: Any) -> Answer:
        self._here()
        return 200, self.container, {}

    def _pkranges(self, path: str, headers: Any, body: Any) -> Answer:
        self._here()
        if headers.get("If-None-Match"):
            return 304, None, {"etag": '"1"'}
        edges = ["", *(f"{0x40 * n // self.ranges:02X}" for n in range(1, self.ranges)), "FF"]
        ranges = [
            {"id": str(n), "_rid": "r", "minInclusive": low, "maxExclusive": high, "parents": []}
            for n, (low, high) in enumerate(pairwise(edges))
        ]
        return 200, {"_rid": "rid==", "PartitionKeyRanges": ranges, "_count": len(ranges)}, {"etag": '"1"'}

    def _read(self, path: str, headers: Any, body: Any) -> Answer:
        self._here()
        with self.lock:
            item = self._item(_keyed(path, headers))
            return 200, item, {"etag": item["_etag"]}

    def _create(self, path: str, headers: Any, body: Any) -> Answer:
        self._here()
        if headers.get("x-ms-documentdb-is-upsert"):
            raise RefusedError(400, "this fake knows no upsert: it would be conditional on nothing")
        with self.lock:
            name = _sound(body, headers)
            if name in self.items:
                raise RefusedError(409, "Entity with the specified id already exists in the system.")
            return 201, *self._put(name, body)

    def _replace(self, path: str, headers: Any, body: Any) -> Answer:
        with self.lock:
            if _sound(body, headers) != _keyed(path, headers):
                raise RefusedError(400, "the id of an item is not changed")
            self._met(self._item(body["id"]), headers)
            return 200, *self._put(body["id"], body)

    def _delete(self, path: str, headers: Any, body: Any) -> Answer:
        with self.lock:
            name = _keyed(path, headers)
            self._met(self._item(name), headers, needed=False)
            del self.items[name]
            return 204, None, {}

    def _query(self, path: str, headers: Any, body: Any) -> Answer:
        self._here()
        given = {one["name"]: one["value"] for one in body.get("parameters", [])}
        if set(body) - {"query", "parameters"} or headers.get("x-ms-documentdb-query-enablecrosspartition") != "True":
            raise RefusedError(400, f"this fake does not know {sorted(body)}")
        listed = IN_QUERY.fullmatch(body["query"])
        with self.lock:
            if listed:
                names = {given[name] for name in listed[1].split(", ")}
                found = [item for name, item in sorted(self.items.items()) if name in names]
            elif (holds := OF_VIEW.get(body["query"])) is not None:
                found = [{"id": n} for n, item in sorted(self.items.items()) if holds(item["view"], given["@view"])]
            else:
                raise RefusedError(400, f"this fake does not know {body['query']!r}")
        first = int(headers.get("x-ms-continuation") or 0)
        wanted = int(headers.get("x-ms-max-item-count") or -1)
        page = found[first : first + min(self.page, wanted if wanted > 0 else self.page)]
        more = {"x-ms-continuation": str(first + len(page))} if first + len(page) < len(found) else {}
        return 200, {"_rid": "rid==", "Documents": page, "_count": len(page)}, more

    def _unknown(self, path: str, headers: Any, body: Any) -> Answer:
        raise RefusedError(400, f"this fake does not know {path} {dict(headers)}")

    def _here(self) -> None:
        if not self.there:
            raise RefusedError(404, "Owner resource does not exist", **{"x-ms-substatus": "1003"})

    def _item(self, name: str) -> dict[str, Any]:
        self._here()
        if name not in self.items:
            raise RefusedError(404, "Entity with the specified id does not exist in the system.")
        return self.items[name]

    def _met(self, item: dict[str, Any], headers: Any, *, needed: bool = True) -> None:
        if headers.get("If-None-Match") or (needed and not headers.get("If-Match")):
            raise RefusedError(400, "this fake knows If-Match alone, and replaces nothing without")
        if headers.get("If-Match") not in (None, item["_etag"]):
            raise RefusedError(412, "One of the specified pre-condition is not met")

    def _put(self, name: str, body: dict[str, Any]) -> tuple[None, dict[str, str]]:
        etag = f'"{uuid.uuid4()}"'
        self.items[name] = body | {"_etag": etag, "_ts": int(time.time()), "_rid": "r", "_self": "s"}
        return None, {"etag": etag}


def _kind(verb: str, path: str, headers: Any) -> str:
    if (verb, path) == ("GET", "/"):
        return "account_"
    if not path.rstrip("/").startswith(COLLECTION):
        return "unknown"
    rest = path.rstrip("/")[len(COLLECTION) :]
    if verb == "POST" and rest == "/docs":
        if headers.get("x-ms-cosmos-is-query-plan-request") == "True":
            return "unknown"
        return "query" if headers.get("x-ms-documentdb-isquery", "").lower() == "true" else "create"
    if rest.startswith("/docs/"):
        return {"GET": "read", "PUT": "replace", "DELETE": "delete"}.get(verb, "unknown")
    return {("GET", ""): "container", ("GET", "/pkranges"): "pkranges"}.get((verb, rest), "unknown")


def _of_fault(fault: Fault) -> RefusedError:
    more = {"x-ms-retry-after-ms": str(fault.retry_ms)} if fault.status == 429 else {}
    return RefusedError(fault.status, "a fault of the tests", **more)


def _keyed(path: str, headers: Any) -> str:
    """Return which item a path names; the partition key must be its own."""
    name = unquote(path.rstrip("/")[len(COLLECTION) + len("/docs/") :])
    if json.loads(headers.get("x-ms-documentdb-partitionkey") or "null") != [name]:
        raise RefusedError(400, "PartitionKey extracted from document doesn't match the one specified in the header")
    return name


def _sound(item: dict[str, Any], headers: Any) -> str:
    """Hold an item to the service's rules; returns its id."""
    name = item.get("id")
    if not isinstance(name, str) or not name or FORBIDDEN.search(name) or name.endswith(" "):
        raise RefusedError(400, f"the id {name!r} is none")
    if len(name.encode()) > MAX_ID:
        raise RefusedError(400, f"the id has {len(name.encode())} bytes")
    if json.loads(headers.get("x-ms-documentdb-partitionkey") or "null") != [name]:
        raise RefusedError(400, "PartitionKey extracted from document doesn't match the one specified in the header")
    if len(json.dumps(item).encode()) > MAX_ITEM:
        raise RefusedError(413, "Request size is too large")
    ttl = item.get("ttl", 1)
    if not isinstance(ttl, int) or not (ttl == -1 or 1 <= ttl <= 2**31 - 1):
        raise RefusedError(400, f"The ttl {ttl!r} is none")
    if strange := set(item) - {"id", "view", "row", "until_us", "ttl", *SYSTEM}:
        raise RefusedError(400, f"this fake does not know {strange}")
    return name


@contextmanager
def running(folder: Path) -> Iterator[CosmosFake]:
    """Run one."""
    fake = CosmosFake(folder)
    try:
        yield fake
    finally:
        fake.stop()
