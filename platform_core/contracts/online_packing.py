"""Binary encoding of online rows: the same bytes in every store and for clients in every language.

==========  ============================================================================================
bytes       what
==========  ============================================================================================
0 to 7      the event time in µs since 1970 plus 2**63, unsigned and big-endian: the order of these bytes
            is the order of time, before 1970 too
8 to end    the values as a msgpack array, in the order of the view's columns: nil, bool, int, float 64, str,
            or an array of float 64
==========  ============================================================================================
"""

from __future__ import annotations

import struct

import msgspec

from loopline.platform_core.contracts.online_store import OnlineRow
from loopline.platform_core.errors import ContractBroken

TIME_BYTES = 8
_SHIFT = 2**63
_TIME = struct.Struct(">Q")
_read_time = _TIME.unpack_from
_read_values = msgspec.msgpack.Decoder(tuple).decode

pack_values = msgspec.msgpack.Encoder().encode
"""Write the values of a row without its event time, for a store that keeps the time apart."""


def pack(row: OnlineRow) -> bytes:
    """Write a row."""
    return _TIME.pack(row.event_time_us + _SHIFT) + pack_values(row.values)


def unpack(packed: bytes) -> OnlineRow:
    """Read a row.

    Raises:
        ContractBroken: the bytes are none.
    """
    try:
        return OnlineRow(_read_time(packed)[0] - _SHIFT, _read_values(packed[TIME_BYTES:]))
    except (struct.error, msgspec.DecodeError) as error:
        raise _strange(packed, error) from error


def unpack_values(packed: bytes) -> tuple[float | int | str | bool | None, ...]:
    """Read what ``pack_values`` wrote.

    Raises:
        ContractBroken: the bytes are none.
    """
    try:
        return _read_values(packed)
    except msgspec.DecodeError as error:
        raise _strange(packed, error) from error


def _strange(packed: bytes, error: Exception) -> ContractBroken:
    return ContractBroken(
        f"{packed[:20]!r} is no row of an online view: {error}",
        "drop the view online and refill it; nothing else may write where the online store does",
    )
