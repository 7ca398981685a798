"""Commands ``loopline audit export`` and ``prove``: sealed entries with their inclusion proofs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import click

from loopline.cli.command import Command, Instant
from loopline.cli.output import Answer
from loopline.cli.subject import opened, person

FORMS = ("proofs", "ocsf", "cef")


@click.command("export", cls=Command)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--form", type=click.Choice(FORMS), default="proofs", show_default=True, help="What each line holds.")
@click.option("--who", default="", help="Only of this person or service.")
@click.option("--what", default="", help="Only this, such as gate.overridden; or 'gate.' for all of a kind.")
@click.option("--from", "since", type=Instant(), help="Only from then on, by the wall's time.")
@click.option("--to", "until", type=Instant(), help="Only until then.")
@click.option(
    "--since-size",
    default=0,
    type=click.IntRange(0),
    help="Prove that the record only grew since it had so many entries.",
)
@click.option("--by", metavar="NAME", help="Who exports; you when left out.")
def export(  # noqa: PLR0913, PLR0917 - each is a filter
    file: Path,
    form: str,
    who: str,
    what: str,
    since: datetime | None,
    until: datetime | None,
    since_size: int,
    by: str | None,
) -> Answer:
    """Write sealed entries to FILE, a line each; that they were exported is an entry too.

    With proofs, 'python offline.py FILE KEY' verifies it far from here: the answer says where that script lies.
    """
    from loopline.platform_core.audit import exporting, recording
    from loopline.platform_core.audit.reading import Wanted

    wanted = Wanted(who, what, since=since, until=until)
    with opened(only=()) as platform:
        with platform.ledger.snapshot() as connection:
            given = {
                "proofs": exporting.proven(connection, wanted, since=since_size),
                "ocsf": exporting.ocsf(connection, wanted),
                "cef": exporting.cef(connection, wanted),
            }
            lines = _written(file, given[form])
        recording.note(
            platform.ledger, "audit.exported", person(by), subject=str(file), reason=f"{lines} lines, {form}"
        )
    count = lines - (form == "proofs")
    return Answer({"file": file, "entries": count, "verifier": exporting.OFFLINE}, _told(count, file, form))


@click.command("prove", cls=Command)
@click.argument("entry", type=int)
def prove(entry: int) -> Answer:
    """Give the proof that ENTRY, by its number in 'audit list', is in the tree whose root was signed."""
    from loopline.platform_core.audit import exporting

    with opened(only=()) as platform, platform.ledger.snapshot() as connection:
        head, line = exporting.proof(connection, entry)
    return Answer({"head": head, "line": line}, f"{head}\n{line}")


def _told(count: int, file: Path, form: str) -> str:
    from loopline.platform_core.audit.exporting import OFFLINE

    verified = f"; python {OFFLINE} {file} <public key's file> verifies it" if form == "proofs" else ""
    return f"{count} entries are in {file}{verified}"


def _written(file: Path, lines: Iterable[str]) -> int:
    """Write a file that is whole or not there.

    Raises:
        NotFound: there is no such folder.
    """
    from loopline.platform_core.errors import NotFound

    if not file.parent.is_dir():
        raise NotFound(f"there is no folder {file.parent}", "make it, or name another file")
    draft, count = file.with_name(f".{file.name}.{os.getpid()}"), 0
    try:
        with draft.open("w", encoding="utf-8") as opened_file:
            for line in lines:
                opened_file.write(line + "\n")
                count += 1
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
    return count
