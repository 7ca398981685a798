"""Commands ``loopline access request``, ``grant``, ``refuse``, ``end`` and ``list``: temporary roles."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from loopline.cli.command import Command
from loopline.cli.lazy import LazyGroup
from loopline.cli.output import Answer, table
from loopline.cli.subject import opened, person

if TYPE_CHECKING:
    from datetime import datetime

    from loopline.platform_core.platform import Platform
    from loopline.platform_core.policies.lent import Loan

access = LazyGroup(
    "access",
    {
        "request": ("loopline.cli.access.access:request", "Ask for a role for some hours."),
        "grant": ("loopline.cli.access.access:grant", "Give somebody the role that was asked for; it ends by itself."),
        "refuse": ("loopline.cli.access.access:refuse", "Refuse a role that was asked for, and say why."),
        "end": ("loopline.cli.access.access:end", "Take a role back."),
        "list": ("loopline.cli.access.access:list_", "Who asked for which role, who granted it, and until when."),
    },
    "Temporary roles: requested, granted by another person, ending by themselves.",
)
_BY = click.option("--by", metavar="NAME", help="Who; you when left out.")


@click.command("request", cls=Command)
@click.argument("role", metavar="TEAM/ROLE")
@click.option("--hours", type=float, default=8.0, show_default=True, help="For how long, from when it is granted.")
@click.option("--reason", required=True, help="Why; kept in the ledger.")
@_BY
def request(role: str, hours: float, reason: str, by: str | None) -> Answer:
    """Ask for TEAM/ROLE, such as retail/operator, or platform/operator for all teams."""
    from loopline.platform_core.policies import lent

    with _guarded() as platform:
        found = lent.request(platform, person(by), role, hours, reason)
        who = lent.who_grants(platform, found.named, found.person)
    told = f"who may grant it: {', '.join(who)}" if who else "nobody may grant it as the files are now"
    line = f"request {found.number}: {found.person} asks for {found.named} for {hours:g} h; {told}"
    return Answer({"request": vars(found), "who_may_grant": who}, line)


@click.command("grant", cls=Command)
@click.argument("number", type=int)
@click.option("--reason", default="as asked", show_default=True, help="Why; kept in the ledger.")
@_BY
def grant(number: int, reason: str, by: str | None) -> Answer:
    """Give what request NUMBER asks for, from now on; nobody grants what they asked for themselves."""
    from loopline.platform_core.policies import lent

    with _guarded() as platform:
        found = lent.grant(platform, person(by), number, reason)
    return Answer(vars(found), f"{found.person} has {found.named} until {found.until:%Y-%m-%d %H:%M}, by {found.by}")


@click.command("refuse", cls=Command)
@click.argument("number", type=int)
@click.option("--reason", required=True, help="Why; kept in the ledger, and shown to who asked.")
@_BY
def refuse(number: int, reason: str, by: str | None) -> Answer:
    """Refuse what request NUMBER asks for."""
    from loopline.platform_core.policies import lent

    with _guarded() as platform:
        found = lent.refuse(platform, person(by), number, reason)
    line = f"request {number} of {found.person} for {found.named} is refused, by {found.refused_by}: {reason}"
    return Answer(vars(found), line)


@click.command("end", cls=Command)
@click.argument("number", type=int)
@click.option("--reason", default="no more needed", show_default=True, help="Why; kept in the ledger.")
@_BY
def end(number: int, reason: str, by: str | None) -> Answer:
    """Take back what was granted by request NUMBER, or what it asks for."""
    from loopline.platform_core.policies import lent

    with _guarded() as platform:
        found = lent.end(platform, person(by), number, reason)
    return Answer(vars(found), f"request {number} of {found.person} for {found.named} has ended, by {found.ended_by}")


@click.command("list", cls=Command)
def list_() -> Answer:
    """List the requests of the last two weeks, the newest first."""
    from loopline.platform_core.policies import lent

    with opened(only=()) as platform:
        found, now = lent.loans(platform), platform.clock.now()
    data = [{**vars(one), "state": one.state(now)} for one in found]
    header = ("request", "who", "role", "state", "until", "by", "why")
    return Answer(
        {"requests": data}, table([_row(one, now) for one in found], header) if found else "nobody asked for a role"
    )


def _row(one: Loan, now: datetime) -> list[Any]:
    until = f"{one.until:%Y-%m-%d %H:%M}" if one.until else f"{one.hours:g} h"
    return [one.number, one.person, one.named, one.state(now), until, one.answered_by, one.reason]


@contextmanager
def _guarded() -> Iterator[Platform]:
    """Open the platform where somebody can lack a role.

    Raises:
        Unsupported: the environment says nothing of access.
    """
    from loopline.platform_core.policies import lent

    with opened(only=()) as platform:
        lent.refuse_without_rules(platform)
        yield platform
