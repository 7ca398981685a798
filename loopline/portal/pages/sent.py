"""Parsing of what was posted to an action: a form or a JSON object."""

from __future__ import annotations

import json
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import Depends, Request

from loopline.platform_core.errors import BadRequest

LARGEST = 65_536


async def _sent(request: Request) -> dict[str, str]:
    """Read what was sent: a form, or a JSON object, of which every value is taken as text."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST:
            raise BadRequest("the form is too large", "say it in fewer words", 413)
    is_json = request.headers.get("content-type", "").startswith("application/json")
    try:
        return _readable(_object(body) if is_json else _form(body))
    except (ValueError, RecursionError) as error:
        fix = "send a form, or one JSON object, of plain text"
        raise BadRequest(f"what was sent cannot be read: {error}", fix) from error


Sent = Annotated[dict[str, str], Depends(_sent)]


def _form(body: bytes) -> dict[str, str]:
    return dict(parse_qsl(body.decode(), keep_blank_values=True, errors="strict"))


def _object(body: bytes) -> dict[str, str]:
    sent = json.loads(body)
    if not isinstance(sent, dict):
        raise ValueError("it is JSON, but no object")  # noqa: TRY004 - told as all that cannot be read
    return {name: _text(value) for name, value in sent.items()}


def _text(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _readable(given: dict[str, str]) -> dict[str, str]:
    """Return what was given, if every text of it can be written down: as UTF-8, in a database, as a path."""
    for text in (*given, *given.values()):
        text.encode()
        if "\0" in text:
            raise ValueError("a text of it has the character NUL")
    return given
