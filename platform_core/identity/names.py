"""Validation of user names."""

from __future__ import annotations

from loopline.platform_core.errors import BadRequest

LONGEST = 120
OWN = "platform"
"""Who the platform's own programs are when they ask one another."""
NOBODY = frozenset({"loop", OWN, "api"})
"""Names that the ledger gives to what no person decided."""


def checked(name: str) -> str:
    """Return a name that somebody may have.

    Raises:
        BadRequest: it is empty or too long, cannot be printed on one line, or is nobody's.
    """
    if not name or name != name.strip() or len(name) > LONGEST or not name.isprintable():
        raise BadRequest(f"{name[:LONGEST]!r} is no name", f"a name is one line of at most {LONGEST} characters")
    if name.casefold() in NOBODY:
        raise BadRequest(f"{name!r} is nobody's name", "it stands for what no person decides: take another one")
    return name
