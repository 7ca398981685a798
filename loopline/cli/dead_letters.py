"""``loopline dead-letters list`` and ``loopline dead-letters replay``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loopline.cli.command import Command, progress
from loopline.cli.lazy import LazyGroup
from loopline.cli.output import Answer, table
from loopline.cli.subject import opened, source_of

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("arrived_at", "name", "line", "reasons", "row")

dead_letters = LazyGroup(
    "dead-letters",
    {
        "list": ("loopline.cli.dead_letters:show", "Rows of a source that broke its contract, with their reasons."),
        "replay": ("loopline.cli.dead_letters:replay", "Hold them against the contract of today."),
    },
    "Rows that broke their contract.",
)


@click.command("list", cls=Command)
@click.argument("source")
@click.option("--limit", default=100, show_default=True, help="At most so many.")
def show(source: str, limit: int) -> Answer:
    """List open dead letters of SOURCE, written `source` or `team/source`."""
    from platform_core.ingestion import dead_letters as letters

    team, declared = source_of(source)
    with opened(only=("lake",)) as platform:
        found = letters.dead_letters(platform, team, declared, limit)
    name = f"{team.name}/{declared.name}"
    return Answer({"source": name, "letters": found.to_pylist()}, _text(name, found))


@click.command("replay", cls=Command)
@click.argument("source")
def replay(source: str) -> Answer:
    """Hold the open dead letters of SOURCE against the contract of today, and land what it now accepts."""
    from platform_core.ingestion import dead_letters as letters

    team, declared = source_of(source)
    with opened(only=("lake", "engine")) as platform, progress(f"replaying {source}"):
        done = letters.replay(platform, team, declared)
    data = {"source": f"{team.name}/{declared.name}", "replayed": done.replayed, "still_dead": done.still_dead}
    return Answer(data, f"{done.replayed} rows landed, {done.still_dead} are still dead letters")


def _text(name: str, found: pa.Table) -> str:
    if not found.num_rows:
        return f"{name} has no open dead letter"
    rows = [[_short(letter[column]) for column in COLUMNS] for letter in found.to_pylist()]
    return table(rows, ("arrived (UTC)", "file", "line", "reasons", "row"))


def _short(value: object) -> object:
    text = ", ".join(map(str, value)) if isinstance(value, list) else value
    return f"{text[:77]}..." if isinstance(text, str) and len(text) > 80 else text  # noqa: PLR2004 - a terminal's width
