"""Hand-written parsing of serving requests, because validation by models costs more than the lookup."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import orjson
from starlette.requests import Request

from loopline.platform_core.errors import BadRequest

if TYPE_CHECKING:
    from loopline.platform_core.features.online import Entities

MOST_BYTES = 64 * 1024 * 1024
_ONLINE = ("team", "features", "model", "entities", "at")
_TRAINING = ("team", "features", "model", "version", "rows", "as_of")


class OnlineRequest(NamedTuple):
    """Which features of which entities; either ``features`` or ``model`` is set."""

    team: str
    features: list[str] | None
    model: str | None
    entities: Entities
    at: datetime | None


class TrainingRequest(NamedTuple):
    """Features for the caller's ``rows`` (a list per column), or a ``model``'s training set, or its ``version``'s."""

    team: str
    features: list[str] | None
    model: str | None
    version: str | None
    rows: Mapping[str, list[Any]] | None
    as_of: datetime | None


def online_request(body: bytes) -> OnlineRequest:
    """Read the body of a request for online features.

    Raises:
        BadRequest: it is no JSON object of the fields told, or a field has another type.
    """
    data = _fields(body, _ONLINE)
    entities = _columns(data, "entities") or {}
    return OnlineRequest(*_parsed(data), entities, _instant(data, "at"))


def training_request(body: bytes) -> TrainingRequest:
    """Read the JSON body of a request for a training set; raises as ``online_request``."""
    return training_fields(_fields(body, _TRAINING))


def training_fields(data: Mapping[str, Any]) -> TrainingRequest:
    """Read the fields of a request for a training set, wherever they were sent."""
    version = data.get("version")
    if version is not None and not isinstance(version, str):
        raise _wrong("version", "a text")
    return TrainingRequest(*_parsed(data), version, _columns(data, "rows"), _instant(data, "as_of"))


async def body_of(request: Request) -> bytes:
    """Read a body whole.

    Raises:
        BadRequest: it is too long (413).
    """
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_BYTES:
            raise BadRequest(f"the request exceeds {MOST_BYTES} bytes", "ask for fewer rows at once", status=413)
        parts.append(part)
    return b"".join(parts)


def _fields(body: bytes, known: tuple[str, ...]) -> dict[str, Any]:
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(
            f"the body is no JSON from line {error.lineno}, column {error.colno} on", _send(known)
        ) from error
    if not isinstance(data, dict):
        raise BadRequest("the body is no JSON object", _send(known))
    unknown = sorted(data.keys() - set(known))
    if unknown:
        raise BadRequest(f"unknown fields: {', '.join(unknown)}", _send(known))
    return data


def _send(known: tuple[str, ...]) -> str:
    return f"send an object with {', '.join(known)}; either features or model"


def _parsed(data: Mapping[str, Any]) -> tuple[str, list[str] | None, str | None]:
    team, features, model = (data.get(name) for name in ("team", "features", "model"))
    if not isinstance(team, str):
        raise _wrong("team", "a text")
    if features is not None and not (isinstance(features, list) and all(isinstance(each, str) for each in features)):
        raise _wrong("features", "a list of texts")
    if model is not None and not isinstance(model, str):
        raise _wrong("model", "a text")
    return team, features, model


def _columns(data: Mapping[str, Any], name: str) -> dict[str, list[Any]] | None:
    columns = data.get(name)
    if columns is None:
        return None
    if not isinstance(columns, dict) or not all(isinstance(each, list) for each in columns.values()):
        raise _wrong(name, "an object with a list a column")
    return cast("dict[str, list[Any]]", columns)


def _instant(data: Mapping[str, Any], name: str) -> datetime | None:
    text = data.get(name)
    if text is None:
        return None
    try:
        return in_utc(text)
    except (TypeError, ValueError, OverflowError):
        raise _wrong(name, "a time in UTC, such as 2026-01-31T12:00:00Z") from None


def in_utc(text: str) -> datetime:
    """Read an instant.

    Raises:
        TypeError, ValueError: it is none, or has no zone. OverflowError: in UTC it lies outside the years 1 to 9999.
    """
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} is without a zone")
    return instant.astimezone(UTC)


def _wrong(name: str, wanted: str) -> BadRequest:
    return BadRequest(f"field {name!r} is not {wanted}", f"send {wanted}")
