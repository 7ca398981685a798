"""Record format in Kinesis: partition key and blob, with an envelope for records that need one.

A record whose key is text, and which has a value and no headers, is the blob as it is: what others write is read so as
well. Any other is written into an envelope, which begins with bytes that no JSON, Avro or Protobuf begins with.
"""

from __future__ import annotations

import uuid
from typing import NamedTuple

import msgspec

from loopline.platform_core.contracts.event_stream import Record
from loopline.platform_core.errors import ContractBroken

MARK = b"\x00\xf5loopline\x01"
MOST_KEY = 256
"""Characters of a partition key."""


class Entry(NamedTuple):
    """One of PutRecords' entries: ``group`` are those whose order is kept."""

    group: str
    data: bytes


class _Held(msgspec.Struct, array_like=True, frozen=True):
    key: bytes | None
    value: bytes | None
    headers: dict[str, str]


def packed(record: Record) -> Entry:
    """Write a record; one without a key goes to any shard."""
    text = _text(record.key)
    if text and record.value is not None and not record.headers and not record.value.startswith(MARK):
        return Entry(text, record.value)
    held = msgspec.msgpack.encode(_Held(record.key, record.value, dict(record.headers or {})))
    return Entry(text or _named(record.key), MARK + held)


def unpacked(partition_key: str, data: bytes) -> Record:
    """Read a record, whoever wrote it."""
    if not data.startswith(MARK):
        return Record(data, partition_key.encode())
    try:
        held = msgspec.msgpack.decode(data[len(MARK) :], type=_Held)
    except msgspec.DecodeError as error:
        raise ContractBroken(f"a record's envelope cannot be read: {error}", "publish by the vendor only") from error
    return Record(held.value, held.key, held.headers)


def _text(key: bytes | None) -> str:
    try:
        text = (key or b"").decode()
    except UnicodeDecodeError:
        return ""
    return text if len(text) <= MOST_KEY else ""


def _named(key: bytes | None) -> str:
    """Name what is no text: the same key the same, so that it goes to the same shard."""
    return uuid.uuid4().hex if key is None else uuid.uuid5(uuid.NAMESPACE_OID, key.hex()).hex
