"""A strict fake of a schema registry: Confluent's REST interface, schemas parsed by each kind's library as they come.

It gives a Protobuf schema as a descriptor where ``format=serialized`` asks for one, and as text otherwise: that text is
no ``.proto`` file here, since nothing of the tests' writes one back.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import NAMESPACE_URL, uuid5

import fastavro
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from jsonschema.validators import validator_for

from tests.emulators.http_server import Answer, Request, Serving, as_json

USER, PASSWORD = "loopline", "right-horse"
KEPT = ("schema", "schemaType", "references", "ruleSet")
NOT_THERE = {"error_code": 40403, "message": "Schema not found"}


@dataclass
class Registry:
    """What it holds, what it was asked (method and path), and how it answers: a status, or "" as it should."""

    url: str = ""
    schemas: list[dict[str, Any]] = field(default_factory=list)
    versions: dict[str, list[int]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    mood: str = ""
    text_only: bool = False
    expected: str = ""

    def answered(self, request: Request) -> Answer | None:
        """Answer whoever comes as ``expected``: who asks for a schema, or registers one."""
        self.asked.append(f"{request.method} {request.path}")
        if self.mood == "hang up":
            return None
        if self.mood:
            return _told(int(self.mood), {"error_code": int(self.mood), "message": "as the test wants it"})
        if request.headers.get("Authorization") != self.expected:
            return _told(401, {"error_code": 401, "message": "Unauthorized"})
        place = urlsplit(request.path)
        parts = [unquote(part) for part in place.path.strip("/").split("/")]
        if request.method == "GET":
            serialized = parse_qs(place.query).get("format") == ["serialized"] and not self.text_only
            return _told(*self.found(parts, serialized=serialized))
        match parts:
            case ["subjects", subject, "versions"]:
                return _told(*self.registered(subject, json.loads(request.body)))
        return _told(404, {"message": "HTTP 404 Not Found"})

    def add(self, subject: str, body: dict[str, Any]) -> dict[str, Any]:
        """Register a schema, parsed before; the same one again has the same id."""
        kept = {name: value for name, value in body.items() if name in KEPT}
        if kept not in self.schemas:
            self.schemas.append(kept)
        number = self.schemas.index(kept) + 1
        of = self.versions.setdefault(subject, [])
        if number not in of:
            of.append(number)
        return self.told(number, serialized=True) | {"subject": subject, "version": of.index(number) + 1}

    def told(self, number: int, *, serialized: bool) -> dict[str, Any]:
        """Tell of a schema; of Avro the kind is left out."""
        kept = self.schemas[number - 1]
        text = 'syntax = "proto3"; // as text' if kept.get("schemaType") == "PROTOBUF" else kept["schema"]
        said = kept | {"id": number, "guid": guid(number), "schema": kept["schema"] if serialized else text}
        return {name: value for name, value in said.items() if value and value != "AVRO"}

    def registered(self, subject: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Register a schema that can be parsed."""
        try:
            parse(body)
        except Exception as error:  # noqa: BLE001 - whatever the libraries say
            return 422, {"error_code": 42201, "message": f"Invalid schema: {error}"}
        return 200, self.add(subject, body)

    def found(self, parts: list[str], *, serialized: bool) -> tuple[int, dict[str, Any]]:
        """Answer who asks for a schema."""
        numbers = {str(n): n for n in range(1, len(self.schemas) + 1)}
        match parts:
            case ["schemas", "ids", number]:
                found = numbers.get(number)
            case ["schemas", "guids", wanted]:
                found = next((n for n in numbers.values() if guid(n) == wanted), None)
            case ["subjects", subject, "versions", version]:
                found = dict(enumerate(self.versions.get(subject, []), 1)).get(int(version))
                if found is None:
                    return 404, {"error_code": 40402, "message": "Version not found"}
                place = {"subject": subject, "version": int(version)}
                return 200, self.told(found, serialized=serialized) | place
            case _:
                return 404, {"message": "HTTP 404 Not Found"}
        return (200, self.told(found, serialized=serialized)) if found else (404, NOT_THERE)


def guid(number: int) -> str:
    """Name a schema for ever."""
    return str(uuid5(NAMESPACE_URL, f"schema {number}"))


def parse(body: dict[str, Any]) -> None:
    """Parse a schema as its kind's library does; raises whatever that raises."""
    kind, text = body.get("schemaType") or "AVRO", body["schema"]
    if kind == "AVRO" and not body.get("references"):
        fastavro.parse_schema(json.loads(text), _force=True)
    if kind == "JSON":
        validator_for(json.loads(text)).check_schema(json.loads(text))
    if kind == "PROTOBUF":
        FileDescriptorProto.FromString(b64decode(text, validate=True))


def _told(status: int, said: dict[str, Any]) -> Answer:
    return as_json(status, said, kind="application/vnd.schemaregistry.v1+json")


@contextmanager
def registry(user: str = USER, password: str = PASSWORD) -> Iterator[Registry]:
    """Serve a registry that one user may ask."""
    held = Registry(expected="Basic " + b64encode(f"{user}:{password}".encode()).decode())
    with Serving(held.answered) as server:
        held.url = server.url
        yield held
