"""CloudEvents of KServe's request logger, in the binary form in which it sends them over HTTP.

Its logger sends one event with a request and one with the answer, of the same id; an answer other than 200 is not sent.
Attributes: https://kserve.github.io/website, "Inference Logger"; their form: the HTTP binding of CloudEvents 1.0.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

from loopline.platform_core.errors import BadRequest

REQUEST, ANSWER = "org.kubeflow.serving.inference.request", "org.kubeflow.serving.inference.response"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIX = "let KServe's logger send it, in binary mode"


@dataclass(frozen=True)
class Event:
    """One side of a request: when it was seen (µs since 1970), by which pod, of which version, and its body.

    ``service`` is the InferenceService, ``notes`` are annotations of the pod, ``headers`` those of the caller that the
    logger passes on, in small letters.
    """

    id: str
    is_answer: bool
    at_us: int
    body: bytes
    notes: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    service: str = ""


def read(headers: Mapping[bytes, bytes], body: bytes) -> Event:
    """Read an event.

    Raises:
        BadRequest: it is none of KServe's logger.
    """
    kind, ident = _text(headers, b"ce-type"), _text(headers, b"ce-id")
    if kind not in {REQUEST, ANSWER} or not ident:
        raise BadRequest(f"{kind or 'nothing'} is no event of an inference", _FIX)
    metadata = _json(headers, b"ce-metadata")
    return Event(
        ident,
        kind == ANSWER,
        _instant(_text(headers, b"ce-time")),
        body,
        {name: str(value) for name, value in _json(headers, b"ce-annotations").items()},
        {name.lower(): str(values[0]) for name, values in metadata.items() if isinstance(values, list) and values},
        f"{_text(headers, b'ce-namespace')}/{_text(headers, b'ce-inferenceservicename')}",
    )


def _text(headers: Mapping[bytes, bytes], name: bytes) -> str:
    return headers.get(name, b"").decode("utf-8", "replace")


def _json(headers: Mapping[bytes, bytes], name: bytes) -> dict[str, Any]:
    """Read an attribute that is JSON; senders differ in whether they escape what headers should not hold."""
    text = _text(headers, name)
    for form in (text, unquote(text)):
        try:
            found = json.loads(form or "{}")
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            return found
    raise BadRequest(f"{name.decode()} is no JSON object: {text[:80]!r}", _FIX)


def _instant(text: str) -> int:
    """Read a time of RFC 3339; Go writes nanoseconds, of which microseconds are kept."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise BadRequest(f"ce-time {text!r} is no instant", _FIX)
    return (instant - _EPOCH) // _MICROSECOND
