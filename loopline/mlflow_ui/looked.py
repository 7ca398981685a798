"""Inspects the bodies of MLflow requests: what they change, for the audit log, and whether GraphQL only reads."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from starlette.types import Message, Receive

MOST_BYTES = 256 * 1024
MOST_PIECES = 10_000
"""A body that is longer, or comes in more pieces, is not looked at."""
LONGEST_PATH = 200
_LONGEST = 250
_ABOUT = (
    "name", "alias", "version", "stage", "new_name", "key", "run_id", "run_uuid", "experiment_id", "model_id", "path",
)  # fmt: skip
"""Of what is sent, what the record tells; MLflow takes ``runId`` for ``run_id``."""
_SNAKE = re.compile(r"(?<!^)(?=[A-Z])")


async def begun(receive: Receive) -> tuple[bytes | None, Receive]:
    """Return a request's body, None for one that is too long or broken off, and what receives it once more."""
    messages: list[Message] = []
    parts: list[bytes] = []
    whole, size = False, 0
    while not whole and size <= MOST_BYTES and len(parts) < MOST_PIECES:
        messages.append(message := await receive())
        if message["type"] != "http.request":
            break
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        whole = not message.get("more_body", False)
    waiting = iter(messages)

    async def again() -> Message:
        for message in waiting:
            return message
        return await receive()

    body = b"".join(parts)
    return (body if whole and size <= MOST_BYTES else None), again


def about(query: bytes, body: bytes | None) -> str:
    """Name what a change is of: ``name retail.cancellations alias champion version 3``.

    Some of MLflow's handlers read the body, others the address. The body stands first, so that nothing in an address
    pushes it out of what the record keeps.
    """
    told = dict.fromkeys((*_told(_sent(body).items()), *_told(parse_qsl(query.decode("latin-1")))))
    return " ".join(told)


def _told(sent: Iterable[tuple[str, Any]]) -> list[str]:
    found = [(_SNAKE.sub("_", name).lower(), value) for name, value in sent if value]
    return [f"{key} {_short(value)}" for about in _ABOUT for key, value in found if key == about]


def only_reads(body: bytes | None) -> bool:
    """Say whether a body of GraphQL holds queries alone; what cannot be read does not."""
    from graphql import GraphQLError, OperationDefinitionNode, OperationType, parse

    asked = _sent(body).get("query")
    if not isinstance(asked, str):
        return False
    try:
        found = parse(asked).definitions
    except (GraphQLError, RecursionError):
        return False
    return _all_query(
        each.operation is OperationType.QUERY for each in found if isinstance(each, OperationDefinitionNode)
    )


def _all_query(found: Iterable[bool]) -> bool:
    operations = list(found)
    return bool(operations) and all(operations)


def _sent(body: bytes | None) -> Mapping[str, Any]:
    """Return a body of JSON; MLflow's older clients write it twice."""
    try:
        found = json.loads(body or b"{}")
        found = json.loads(found) if isinstance(found, str) else found
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _short(value: object) -> str:
    text = str(value)[:_LONGEST]
    return text if text.isprintable() else repr(text)
