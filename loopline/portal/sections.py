"""The portal's navigation; a page belongs to the section that it names."""

from __future__ import annotations

from typing import NamedTuple


class Section(NamedTuple):
    """One entry of the navigation."""

    name: str
    path: str


SECTIONS: tuple[Section, ...] = (
    Section("Models", "/models"),
    Section("Cycles", "/cycles"),
    Section("Features", "/features"),
    Section("Dead letters", "/dead-letters"),
    Section("Teams", "/teams"),
    Section("Scorecard", "/scorecard"),
    Section("Alarms", "/alarms"),
)
"""In the order in which they stand; add yours here when its page is there."""
