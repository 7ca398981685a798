"""Names of managed jobs, derived from the task's key (idempotency key)."""

from __future__ import annotations

import hashlib
import re

_DIGEST_CHARS = 16
_ATTEMPT_CHARS = 5


def words(key: str, most: int) -> str:
    """Return a key's own letters and digits, as far as they go: those of ``key/...`` begin with those of ``key``."""
    return re.sub(r"[^a-z0-9]+", "-", key.lower())[:most].strip("-")


def job_name(prefix: str, key: str, attempt: int, most: int) -> str:
    """Name the n-th job of a key, in at most ``most`` letters, digits and dashes.

    A service keeps a name for ever, so a key that is run anew needs another one. Two keys share a name only if their
    SHA-256 begins with the same 64 bits.
    """
    digest = hashlib.sha256(key.encode()).hexdigest()[:_DIGEST_CHARS]
    said = words(key, room(prefix, most))
    return "-".join(part for part in (prefix, said, digest, str(attempt)) if part)


def room(prefix: str, most: int) -> int:
    """Return how many characters of a key's words fit into a name."""
    return most - len(prefix) - _DIGEST_CHARS - _ATTEMPT_CHARS - 2
