"""Form parameters of portal actions: model, source, role or request number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.platform_core.errors import BadRequest, NotFound
from loopline.platform_core.foundation.names import ModelRef

if TYPE_CHECKING:
    from loopline.platform_core.specs import Source, Team
    from loopline.portal.actions.action import Given
    from loopline.portal.page_request import Portal

MOST_DIGITS = 18
"""No database knows a longer number."""


def required(given: Given, name: str) -> str:
    """Return a field that must be there.

    Raises:
        BadRequest: it is missing or empty.
    """
    value = given.get(name, "").strip()
    if not value:
        raise BadRequest(f"{name!r} is missing", f"say it: {name}=...")
    return value


def model_of(portal: Portal, given: Given) -> ModelRef:
    """Return the model that was sent as ``model=team/model``; its team need not load, the ledger's word is enough.

    Raises:
        BadRequest: it is written otherwise. NotFound: nobody knows it.
    """
    text = required(given, "model")
    team, slash, model = text.partition("/")
    if not slash or not team or not model:
        raise BadRequest(f"{text!r} names no model", "write it as team/model")
    ref = ModelRef(team, model)
    if not portal.knows(ref):
        raise NotFound(f"no team has a model {text!r}", "choose one from the list of models")
    return ref


def source_of(portal: Portal, given: Given) -> tuple[Team, Source]:
    """Return the source that was sent as ``source=team/source``.

    Raises:
        BadRequest: it is written otherwise. InvalidSpec: its team is quarantined. NotFound: there is none.
    """
    text = required(given, "source")
    team_name, slash, name = text.partition("/")
    if not slash:
        raise BadRequest(f"{text!r} names no source", "write it as team/source")
    team = portal.installed.team(team_name)
    return team, team.source(name)


def role_of(given: Given) -> str:
    """Return the role that was sent as ``team`` and ``role``, as ``team/role``; whether there is one is not looked at.

    Raises:
        BadRequest: one of them is missing.
    """
    return f"{required(given, 'team')}/{required(given, 'role')}"


def number_of(given: Given) -> int:
    """Return the number of a request that was sent as ``number``.

    Raises:
        BadRequest: it is missing, or no number.
    """
    text = required(given, "number")
    if not (text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS):
        raise BadRequest(f"{text!r} is no number of a request", "use one of the page 'Access'")
    return int(text)


def page_of(ref: ModelRef) -> str:
    """Return the address of a model's page."""
    return f"/models/{ref.team}/{ref.model}"
