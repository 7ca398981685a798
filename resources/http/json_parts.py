"""JSON splitter: items of a list or members of an object as raw text, so that one bad part spoils no other.

One part that no parser takes, nested too deep or with half a character, costs no other part: what is wrong with it is
told of its row.
"""

from __future__ import annotations

import json
import re

import msgspec

_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|["\[\]{},]', re.DOTALL)
_MEMBER = re.compile(rb'("[^"\\]*+(?:\\.[^"\\]*+)*+")\s*:\s*(.*)', re.DOTALL)
_CLOSES = {b"[": b"]", b"{": b"}"}


def items(text: bytes) -> list[bytes] | None:
    """Return the items of a list, None where it is none."""
    try:
        return [bytes(item) for item in msgspec.json.decode(text, type=list[msgspec.Raw])]
    except (msgspec.MsgspecError, RecursionError):
        return _split(text, b"[")


def members(text: bytes) -> dict[str, bytes] | None:
    """Return the members of an object by name, None where it is none."""
    try:
        return {name: bytes(held) for name, held in msgspec.json.decode(text, type=dict[str, msgspec.Raw]).items()}
    except (msgspec.MsgspecError, RecursionError):
        found = [_MEMBER.fullmatch(part) for part in _split(text, b"{") or [b""]]
    try:
        return {json.loads(part[1]): part[2] for part in found if part} if all(found) else None
    except ValueError:
        return None


def _split(text: bytes, opening: bytes) -> list[bytes] | None:
    """Cut what stands between two brackets at its own commas; None where brackets or texts do not close."""
    text = text.strip()
    if text[:1] != opening or text[-1:] != _CLOSES[opening]:
        return None
    parts, begin, depth = list[bytes](), 1, 0
    for found in _TOKEN.finditer(text):
        token = found[0]
        if token == b'"' or (depth == 0 and found.start()):
            return None
        if token in b"[{":
            depth += 1
        elif token in b"]}":
            depth -= 1
        if depth == (1 if token == b"," else 0) and not token.startswith(b'"'):
            parts.append(text[begin : found.start()].strip())
            begin = found.end()
    return parts if depth == 0 and all(parts) else None
