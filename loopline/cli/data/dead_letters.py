"""Commands ``loopline dead-letters list``, ``export``, ``replay``, ``retry`` and ``dismiss``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loopline.cli.command import Command, progress
from loopline.cli.lazy import LazyGroup
from loopline.cli.output import Answer, table
from loopline.cli.subject import opened, person, source_of

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("arrived_at", "name", "line", "reasons", "row")

dead_letters = LazyGroup(
    "dead-letters",
    {
        "list": ("loopline.cli.data.dead_letters:show", "Rows and files that broke a source's contract, and why."),
        "export": ("loopline.cli.data.dead_letters:export", "Write them to a CSV file, to mend them there."),
        "replay": ("loopline.cli.data.dead_letters:replay", "Check them again, mended or not, and land what passes."),
        "retry": ("loopline.cli.data.refused_files:retry", "Try refused files again at the next landing."),
        "dismiss": (
            "loopline.cli.data.refused_files:dismiss",
            "Dismiss refused files, or dead letters: ends the alarm.",
        ),
    },
    "Dead letters: rows, and whole files, that broke their contract.",
)


@click.command("list", cls=Command)
@click.argument("source")
@click.option("--limit", default=100, show_default=True, help="At most so many.")
def show(source: str, limit: int) -> Answer:
    """List open dead letters of SOURCE, written `source` or `team/source`, and the files that were refused whole.

    A refused file stays here until it has landed, is gone, or is dismissed; a skipped one holds what another held.
    """
    from dataclasses import asdict

    from loopline.platform_core.ingestion.letters import dead_letters as letters
    from loopline.platform_core.ingestion.letters.refusals import refusals

    team, declared = source_of(source)
    with opened(only=("lake",)) as platform:
        found = letters.dead_letters(platform, team, declared, limit)
        files = refusals(platform.ledger, team.name, declared.name)
    refused, skipped = ([asdict(one) for one in each.values()] for each in (files.standing, files.skipped))
    name = f"{team.name}/{declared.name}"
    data = {"source": name, "letters": found.to_pylist(), "refused": refused, "skipped": skipped}
    said = [_text(name, found), *_files("refused", refused), *_files("skipped", skipped)]
    return Answer(data, "\n".join(said))


@click.command("export", cls=Command)
@click.argument("source")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def export(source: str, file: Path) -> Answer:
    """Write every open dead letter of SOURCE to the CSV file FILE: its id, its reasons, and the fields as they came.

    Mend the fields there, leave out rows that are not mended, and give the file to 'replay --rows'.
    """
    from loopline.platform_core.ingestion.letters import dead_letters as letters
    from loopline.platform_core.ingestion.letters import mended_rows
    from loopline.platform_core.specs.contracts.odcs import read_contract

    team, declared = source_of(source)
    with opened(only=("lake",)) as platform:
        found = letters.dead_letters(platform, team, declared, limit=None)
    mended_rows.write(mended_rows.exported(found, read_contract(team.folder / declared.contract)), file)
    data = {"source": f"{team.name}/{declared.name}", "file": file, "letters": len(found)}
    return Answer(data, f"{len(found)} open dead letters in {file}")


@click.command("replay", cls=Command)
@click.argument("source")
@click.option("--rows", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Rows mended in a CSV file.")
@click.option("--reason", default="", help="Why; it is kept in the ledger.")
@click.option("--by", metavar="NAME", help="Who; you when left out.")
def replay(source: str, rows: Path | None, reason: str, by: str | None) -> Answer:
    """Hold open dead letters of SOURCE against the contract of today, and land those that it now accepts.

    With --rows only the letters in that file are tried, with the fields given there; 'export' writes such a file. A row
    takes its place by its own event time, and is known from now on.
    """
    from loopline.platform_core.ingestion.letters import dead_letters as letters
    from loopline.platform_core.ingestion.letters import mended_rows

    team, declared = source_of(source)
    given = mended_rows.read(rows) if rows else None
    with opened(only=("lake", "engine")) as platform, progress(f"replaying {source}"):
        done = letters.replay(platform, team, declared, given, person(by), reason)
    counts = {"replayed": done.replayed, "still_dead": done.still_dead, "withdrawn": done.withdrawn}
    data = {"source": f"{team.name}/{declared.name}", **counts}
    text = f"{done.replayed} rows landed, {done.still_dead} are still dead letters"
    text += f", {done.withdrawn} of withdrawn arrivals were left out" if done.withdrawn else ""
    if not rows:
        return Answer(data, text)
    why = [[letter, ", ".join(reasons)] for letter, reasons in done.reasons.items()]
    return Answer(
        {**data, "reasons": done.reasons}, "\n".join([text, *([table(why, ("letter", "reasons"))] if why else [])])
    )


def _text(name: str, found: pa.Table) -> str:
    if not found.num_rows:
        return f"{name} has no open dead letter"
    rows = [[_short(letter[column]) for column in COLUMNS] for letter in found.to_pylist()]
    return table(rows, ("arrived (UTC)", "file", "line", "reasons", "row"))


def _files(what: str, refused: Sequence[Mapping[str, Any]]) -> list[str]:
    if not refused:
        return []
    rows = [
        [one["at"].strftime("%Y-%m-%d %H:%M:%S"), one["name"], f"{one['problem']} → {one['fix']}"] for one in refused
    ]
    return ["", table(rows, (f"{what} (UTC)", "file", "why"))]


def _short(value: object) -> object:
    text = ", ".join(map(str, value)) if isinstance(value, list) else value
    return f"{text[:77]}..." if isinstance(text, str) and len(text) > 80 else text  # noqa: PLR2004 - a terminal's width
