"""Navigation sections of the portal."""

from __future__ import annotations

from typing import NamedTuple


class Section(NamedTuple):
    """One entry of the navigation; one ``of_access`` is there where the environment says who may decide."""

    name: str
    path: str
    of_access: bool = False


SECTIONS: tuple[Section, ...] = (
    Section("Models", "/models"),
    Section("Cycles", "/cycles"),
    Section("Features", "/features"),
    Section("Dead letters", "/dead-letters"),
    Section("Teams", "/teams"),
    Section("Scorecard", "/scorecard"),
    Section("Alarms", "/alarms"),
    Section("Audit", "/audit"),
    Section("Access", "/access", of_access=True),
)
"""In the order in which they stand; add yours here when its page is there."""
