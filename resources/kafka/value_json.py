"""Conversion of Avro and Protobuf values to JSON."""

from __future__ import annotations

import json
import math
from base64 import b64encode
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from google.protobuf.message import Message


def json_of(held: Any) -> bytes:
    """Write a decoded value: instants and dates in ISO 8601, decimals and UUIDs as text, bytes as base64.

    Numbers that JSON cannot write are text (``NaN``, ``Infinity``), as Protobuf has them.
    """
    return json.dumps(_plain(held), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def json_of_message(message: Message) -> bytes:
    """Write a message by Protobuf's own rules, with the schema's names; a field without presence shows its default."""
    from google.protobuf.json_format import MessageToDict

    said = MessageToDict(message, always_print_fields_with_no_presence=True, preserving_proto_field_name=True)
    return json.dumps(said, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _plain(held: Any) -> Any:
    if isinstance(held, dict):
        return {str(name): _plain(value) for name, value in held.items()}
    if isinstance(held, list | tuple):
        return [_plain(value) for value in held]
    return _scalar(held)


def _scalar(held: Any) -> Any:
    if isinstance(held, datetime | date | time):
        return held.isoformat()
    if isinstance(held, Decimal):
        return format(held, "f")
    if isinstance(held, UUID):
        return str(held)
    if isinstance(held, bytes):
        return b64encode(held).decode()
    if isinstance(held, float) and not math.isfinite(held):
        return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(held, "NaN")
    return held
