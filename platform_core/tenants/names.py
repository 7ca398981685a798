"""Validation of tenant names: safe for stores, folders, URLs and shells."""

from __future__ import annotations

import re

from loopline.platform_core.errors import InvalidSpec

_SHORTEST, _LONGEST = 2, 24
_NAME = re.compile(r"[a-z](-?[a-z0-9])+", re.ASCII)


def checked(name: str) -> str:
    """Return the name of a tenant.

    Raises:
        InvalidSpec: it is not 2 to 24 letters a to z, digits and single dashes that begin with a letter and end
            with none.
    """
    if _SHORTEST <= len(name) <= _LONGEST and _NAME.fullmatch(name):
        return name
    shown = name if len(name) <= 2 * _LONGEST else f"{name[: 2 * _LONGEST]}…"
    raise InvalidSpec(
        f"{shown!r} is no name of a tenant",
        f"take {_SHORTEST} to {_LONGEST} letters a to z, digits and single dashes, a letter first and no dash last",
    )
