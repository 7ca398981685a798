"""Names of endpoints in a cloud's service."""

from __future__ import annotations

import hashlib
import re

_MOST_CHARS = 49
"""Of an endpoint's name: 63 less what a plan's name adds."""
_DIGEST_CHARS = 8


def endpoint_name(prefix: str, group: str, most_chars: int = _MOST_CHARS, within: str = "") -> str:
    """Name a group's endpoint in letters, digits and dashes; a digest tells groups apart that would look alike.

    Where names must differ from strangers' too, ``within`` says whose it is, and the digest is always there.
    """
    words = re.sub(r"[^a-z0-9]+", "-", group.lower()).strip("-")
    name = f"{prefix}-{words}"
    if words == group and len(name) <= most_chars and not within:
        return name
    digest = hashlib.sha256(f"{within}{group}".encode()).hexdigest()[:_DIGEST_CHARS]
    return f"{name[: most_chars - _DIGEST_CHARS - 1].rstrip('-')}-{digest}"
