"""Commands ``loopline subject access``, ``erase`` and ``admit``: data subject requests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loopline.cli.command import Command, progress
from loopline.cli.lazy import LazyGroup
from loopline.cli.output import Answer, plain, table
from loopline.cli.subject import opened, person, team_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.platform_core.persons.erasing import Found, Report

COLUMNS = ("place", "rows before", "rows now", "found", "remark")
NEEDS = ("lake", "event_source", "engine", "online_store", "serving", "registry")

subject = LazyGroup(
    "subject",
    {
        "access": ("loopline.cli.access.person:access", "Everything that is held on a person, as one document."),
        "erase": ("loopline.cli.access.person:erase", "Erase a person's rows everywhere, or look again later."),
        "admit": ("loopline.cli.access.person:admit", "Let an erased person's rows land again."),
    },
    "Data subject requests: show or erase what is held on a person.",
)
_KEYS = click.argument("keys", nargs=-1, required=True, metavar="ENTITY=KEY...")


@click.command("access", cls=Command)
@click.argument("team")
@_KEYS
@click.option("--out", type=click.Path(dir_okay=False), help="Write a zip with a file a place there.")
@click.option("--by", metavar="NAME", help="Who; you when left out.")
def access(team: str, keys: Sequence[str], out: str | None, by: str | None) -> Answer:  # noqa: ARG001 - policies ask
    """Show what TEAM holds on the person of ENTITY=KEY; several together name one person."""
    from loopline.platform_core.persons.disclosure import disclosed, written
    from loopline.platform_core.persons.subject import Subject

    whom = Subject.named(team_of(team), keys)
    with opened(only=NEEDS) as platform, progress("looking at every place"):
        found = disclosed(platform, whom)
    if out:
        written(found, Path(out))
    counts = [(one.place, len(one.rows), one.by, one.note) for one in found.places]
    said = table(counts, ("place", "rows", "found", "remark"))
    where = f"\nwritten to {out}" if out else "\nsay --out FILE.zip, or --output json, for the rows"
    return Answer(plain(found), said + where)


@click.command("erase", cls=Command)
@click.argument("team")
@_KEYS
@click.option("--reason", default="", help="Why, such as the number of the request; it is kept in the ledger.")
@click.option("--by", metavar="NAME", help="Who; you when left out.")
@click.option("--pretend", is_flag=True, help="Say what would go, and change nothing.")
@click.option("--check", is_flag=True, help="Look whether anything came back, in places and files; change nothing.")
def erase(  # noqa: PLR0913, PLR0917 - what a person may say
    team: str, keys: Sequence[str], reason: str, by: str | None, pretend: bool, check: bool
) -> Answer:
    """Erase the person of ENTITY=KEY at TEAM, for good.

    Run again after it was cut off, it goes on. Rows that come again do not land. What stays, and why, is in the report,
    which the ledger keeps.
    """
    from loopline.platform_core.persons import erasing
    from loopline.platform_core.persons.subject import Subject

    whom = Subject.named(team_of(team), keys)
    with opened(only=NEEDS) as platform, progress("looking at every place"):
        only_looks = pretend or check
        report = erasing.look(platform, whom) if only_looks else erasing.erase(platform, whom, person(by), reason)
    return Answer(plain(report), _told(report), exit_code=int(check and bool(report.left)))


@click.command("admit", cls=Command)
@click.argument("team")
@_KEYS
@click.option("--reason", required=True, help="Why; it is kept in the ledger.")
@click.option("--by", metavar="NAME", help="Who; you when left out.")
def admit(team: str, keys: Sequence[str], reason: str, by: str | None) -> Answer:
    """Let rows of an erased person land again, whatever they say of when they happened."""
    from loopline.platform_core.persons import erasing
    from loopline.platform_core.persons.subject import Subject

    whom = Subject.named(team_of(team), keys)
    with opened(only=()) as platform:
        entry = erasing.admit(platform, whom, person(by), reason)
    return Answer({"entry": entry}, f"rows of this person land again (ledger entry {entry})")


def _told(report: Report) -> str:
    rows = [_row(one) for one in report.found]
    parts = [f"person {report.key} ({', '.join(report.entities)})", table(rows, COLUMNS)]
    parts += [f"a key stands in {file}" for file in report.files]
    parts += [f"not made anew: {problem}" for problem in report.problems]
    parts += [f"stays: {what}: {why}" for what, why in report.kept.items()]
    if report.entry is not None:
        parts.append(f"report: ledger entry {report.entry}, audit entry {report.audit}")
    return "\n".join(parts)


def _row(one: Found) -> list[Any]:
    return [one.place, one.before, one.after, one.by, one.note]
