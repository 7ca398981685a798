"""Commands ``loopline arrivals list``, ``withdraw`` and ``restore``: landed files and batches of a source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loopline.cli.command import Command, progress
from loopline.cli.lazy import LazyGroup
from loopline.cli.output import Answer, table
from loopline.cli.subject import opened, person, source_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.platform_core.features.materialization.materialize import Materialized
    from loopline.platform_core.ingestion.arrivals import Landed
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Source, Team

COLUMNS = ("arrived (UTC)", "name", "rows", "deletions", "dead letters", "withdrawn (UTC)", "id")
SHORT = 12

arrivals = LazyGroup(
    "arrivals",
    {
        "list": ("loopline.cli.data.arrivals:show", "What landed of a source, and what of it is withdrawn."),
        "withdraw": ("loopline.cli.data.arrivals:withdraw", "Withdraw an arrival: its rows stay, but no longer hold."),
        "restore": ("loopline.cli.data.arrivals:restore", "Let a withdrawn arrival hold again."),
    },
    "Landed arrivals of a source: list, withdraw, restore.",
)


@click.command("list", cls=Command)
@click.argument("source")
@click.option("--limit", default=50, show_default=True, help="At most so many, the newest first.")
def show(source: str, limit: int) -> Answer:
    """List what landed of SOURCE, written `source` or `team/source`."""
    from loopline.platform_core.ingestion.arrivals import landed

    team, declared = source_of(source)
    with opened(only=("lake", "event_source")) as platform:
        found = landed(platform, team, declared)
    name = f"{team.name}/{declared.name}"
    if not found:
        return Answer({"source": name, "arrivals": []}, f"nothing of {name} has landed")
    shown = table([_row(one) for one in found[:limit]], COLUMNS)
    more = [f"and {len(found) - limit} older ones; say --limit"] if len(found) > limit else []
    return Answer({"source": name, "arrivals": [one.__dict__ for one in found[:limit]]}, "\n".join([shown, *more]))


@click.command("withdraw", cls=Command)
@click.argument("source")
@click.argument("name")
@click.option("--reason", required=True, help="Why; it is kept in the ledger.")
@click.option("--by", metavar="NAME", help="Who; you when left out.")
def withdraw(source: str, name: str, reason: str, by: str | None) -> Answer:
    """Take the arrival NAME (its file's name, or the beginning of its id) of SOURCE back.

    Its rows hold no longer, from now on: what they had corrected or deleted holds again. The views of the source follow
    at once, online too; training sets of before stay what they were, one of now does without.
    """
    from loopline.platform_core.ingestion.arrivals import withdraw as take_back

    return _changed(source, lambda p, t, s: take_back(p, t, s, name, reason, person(by)), "withdrawn")


@click.command("restore", cls=Command)
@click.argument("source")
@click.argument("name")
@click.option("--reason", required=True, help="Why; it is kept in the ledger.")
@click.option("--by", metavar="NAME", help="Who; you when left out.")
def restore(source: str, name: str, reason: str, by: str | None) -> Answer:
    """Let the withdrawn arrival NAME of SOURCE hold again, known from now on; views follow at once."""
    from loopline.platform_core.ingestion.arrivals import restore as put_back

    return _changed(source, lambda p, t, s: put_back(p, t, s, name, reason, person(by)), "restored")


def _changed(source: str, say: Callable[[Platform, Team, Source], Landed], what: str) -> Answer:
    from loopline.platform_core.features.materialization.materialize import materialize

    team, declared = source_of(source)
    needs = ("lake", "event_source", "engine", "online_store")
    with opened(only=needs) as platform, progress(f"{what}: {source}"):
        one = say(platform, team, declared)
        done = [materialize(platform, team, view) for view in team.views if view.source.name == declared.name]
    name = f"{team.name}/{declared.name}"
    data = {"source": name, what: one.name, "arrival": one.arrival_id, "rows": one.rows}
    followed = {each.view: {"rows": each.rows, "online": each.online} for each in done}
    said = f"{one.name} of {name} is {what}: {one.rows} rows"
    return Answer({**data, "views": followed}, "\n".join([said, *map(_followed, done)]))


def _followed(done: Materialized) -> str:
    return f"  {done.view}: {done.rows} rows changed, {done.online} keys online"


def _row(one: Landed) -> list[object]:
    at = "" if one.withdrawn_at is None else f"{one.withdrawn_at:%Y-%m-%d %H:%M}"
    return [
        f"{one.arrived_at:%Y-%m-%d %H:%M}",
        one.name,
        one.rows,
        one.deletions,
        one.dead_letters,
        at,
        one.arrival_id[:SHORT],
    ]
