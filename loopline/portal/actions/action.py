"""Interface of a portal action: proposes its effect, takes a signature, then acts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from loopline.portal.page_request import Portal

Given = Mapping[str, str]
"""What was sent: the fields of the form, or of the JSON object, as text."""


@dataclass(frozen=True)
class Field:
    """One field of an action's form beside name and reason; a ``hidden`` one only goes along."""

    name: str
    label: str = ""
    value: str = ""
    kind: Literal["hidden", "text", "choice", "check"] = "hidden"
    choices: tuple[str, ...] = ()
    hint: str = ""


@dataclass(frozen=True)
class Proposal:
    """What an action would do now: in one line, what follows from it, the form's fields, and where one came from."""

    title: str
    says: list[str]
    fields: list[Field]
    button: str
    back: str
    grave: bool = False


@dataclass(frozen=True)
class Signed:
    """Who decides, and why; neither is empty. ``groups`` are those that a provider says of who is signed in."""

    by: str
    reason: str
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Outcome:
    """What was done, and the pages on which it shows as (name, path)."""

    message: str
    see: list[tuple[str, str]]
    lines: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Action:
    """One action: ``propose`` looks, ``act`` does; both raise errors with problem and fix."""

    name: str
    propose: Callable[[Portal, Given], Proposal]
    act: Callable[[Portal, Given, Signed], Outcome]
