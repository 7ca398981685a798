"""Signed notes as C2SP defines them: a text followed by signatures; signs and verifies.

https://c2sp.org/signed-note
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loopline.platform_core.audit.keys import Signs, VerifyingKey

_ID_BYTES = 4


def signed(text: str, key: Signs) -> str:
    """Return a note of a text, which ends with its last line's end."""
    by, signature = key.sign(text.encode())
    return f"{text}\n— {by.name} {base64.b64encode(by.id + signature).decode()}\n"


def opened(note: str, keys: Sequence[VerifyingKey]) -> tuple[str, VerifyingKey | None]:
    """Return a note's text and the first of the keys that signed it; None where none of them did."""
    from cryptography.exceptions import InvalidSignature

    text, _, below = note.rpartition("\n\n")
    text += "\n"
    for name, raw in _signatures(below):
        for key in keys:
            if name != key.name or raw[:_ID_BYTES] != key.id:
                continue
            try:
                key.public.verify(raw[_ID_BYTES:], text.encode())
            except InvalidSignature:
                return text, None
            return text, key
    return text, None


def signers(note: str) -> list[str]:
    """Return whose signatures a note bears, as it says itself: ``<name>+<id>``."""
    return [f"{name}+{raw[:_ID_BYTES].hex()}" for name, raw in _signatures(note.rpartition("\n\n")[2])]


def _signatures(below: str) -> Iterator[tuple[str, bytes]]:
    for line in below.splitlines():
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        if dash == "—":
            yield name, _decoded(encoded)


def _decoded(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return b""
