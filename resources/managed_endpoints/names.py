"""An endpoint's name with its service."""

from __future__ import annotations

import hashlib
import re

_MOST_CHARS = 49
"""Of an endpoint's name: 63 less what a plan's name adds."""
_DIGEST_CHARS = 8


def endpoint_name(prefix: str, group: str) -> str:
    """Name a group's endpoint in letters, digits and dashes; a digest tells groups apart that would look alike."""
    words = re.sub(r"[^a-z0-9]+", "-", group.lower()).strip("-")
    name = f"{prefix}-{words}"
    if words == group and len(name) <= _MOST_CHARS:
        return name
    digest = hashlib.sha256(group.encode()).hexdigest()[:_DIGEST_CHARS]
    return f"{name[: _MOST_CHARS - _DIGEST_CHARS - 1].rstrip('-')}-{digest}"
