"""Command ``loopline contract diff``, which compares data contracts, and the group it belongs to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loopline.cli.command import Command, progress
from loopline.cli.lazy import LazyGroup
from loopline.cli.output import Answer, table
from loopline.cli.subject import opened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from loopline.cli.data.contract_texts import Pair
    from loopline.platform_core.contracts.engine import Engine
    from loopline.platform_core.features.registry.impact import Impact
    from loopline.platform_core.specs import Team

RULE = "what breaks consumers or producers needs a new major version (the first number of 'version')"
HEADER, REACHED = ("column", "change", "class"), ("column", "reaches", "of models", "how")

contract = LazyGroup(
    "contract",
    {
        "diff": (
            "loopline.cli.data.contract:diff",
            "What a change breaks, for whom, and which views and models it reaches.",
        ),
        "check": ("loopline.cli.data.contract_check:check", "Which rows of a CSV file break a contract, and why."),
    },
    "Data contracts: what a source's rows must be.",
)
WIDTH = 70
"""Letters of a reason on a terminal; JSON has all of them."""
EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("diff", cls=Command)
@click.argument("old", type=EXISTING, required=False)
@click.argument("new", type=EXISTING, required=False)
@click.option("--since", metavar="REVISION", help="Compare each contract of the installed teams with itself in Git.")
@click.option("--team", help="Look at this team only; its views and models are the ones that are tried.")
def diff(old: Path | None, new: Path | None, since: str | None, team: str | None) -> Answer:
    """Compare contract files OLD and NEW; or, for CI, every contract with its text at a revision: --since main.

    Each change is additive, consumer-breaking or producer-breaking. Views and labels are run on empty tables of the
    changed columns, and those that fail or give something else are named with their models. Ends with 1 when
    something breaks and the contract has no new major version.
    """
    from loopline.platform_core import plugins

    if bool(since) == bool(new):
        raise click.UsageError("Give two files OLD and NEW, or --since REVISION.")
    with progress("comparing contracts"), opened(only=("engine",)) as platform:
        installed = plugins.installed([team] if team else None)
        teams = [installed.team(team)] if team else list(installed.teams)
        left_out = [str(broken) for broken in installed.quarantined]
        if since:
            teams, others = _knowing(since, teams)
            left_out += others
        found = [_compared(platform.engine, pair) for pair in _pairs(old, new, since, teams, named=bool(team))]
    allowed = all(each["allowed"] for each in found)
    data = {"allowed": allowed, "rule": RULE, "contracts": found, "left_out": left_out}
    return Answer(data, "\n\n".join([*map(_text, found), *left_out]) or "nothing to compare", 0 if allowed else 1)


def _knowing(revision: str, teams: list[Team]) -> tuple[list[Team], list[str]]:
    """Split teams into those whose work tree knows a revision, and why the others do not.

    Raises:
        NotFound: none does.
    """
    from loopline.cli.data.contract_texts import unknown
    from loopline.platform_core.errors import NotFound

    why = {team.name: unknown(revision, team) for team in teams}
    known, others = [team for team in teams if not why[team.name]], [said for said in why.values() if said]
    if not known:
        fix = "fetch it (a shallow clone has one commit only), or name two files: 'loopline contract diff OLD NEW'"
        raise NotFound("; ".join(others) or "no team is installed that could be compared", fix)
    return known, others


def _pairs(old: Path | None, new: Path | None, since: str | None, teams: list[Team], *, named: bool) -> Iterator[Pair]:
    from loopline.cli.data.contract_texts import of_files, of_revision

    if since:
        for team in teams:
            yield from of_revision(since, team)
    elif old and new:
        yield from of_files(old, new, teams, named)


def _compared(engine: Engine, pair: Pair) -> dict[str, Any]:
    """Say what changes from one contract to the other, as data."""
    from loopline.platform_core.features.registry.impact import impacts
    from loopline.platform_core.specs.contracts import contract_diff

    said = {
        "source": f"{pair.team.name}/{pair.source.name}" if pair.team and pair.source else None,
        "file": str(pair.new.path),
        "new": pair.new.version,
    }
    if pair.old is None:
        return {**said, "old": None, "breaking": False, "major": True, "allowed": True, "changes": []}
    found = contract_diff.diff(pair.old, pair.new)
    reached = impacts(engine, pair.team, pair.source.name, found) if pair.team and pair.source else {}
    changes = [
        {"column": c.column, "kind": c.kind, "what": c.what, "classes": c.classes, "reaches": reached.get(c, ())}
        for c in found.changes
    ]
    facts = {"breaking": found.breaking, "major": found.major, "allowed": found.allowed}
    return {**said, "old": pair.old.version, **facts, "changes": changes}


def _text(found: Mapping[str, Any]) -> str:
    name = found["source"] or "no source of an installed team"
    head = f"{name}  {found['file']}  {found['old'] or 'nothing'} → {found['new']}"
    if not found["changes"]:
        return f"{head}\n{'no change' if found['old'] else 'new'}"
    rows = [(c["column"], c["what"], ", ".join(c["classes"])) for c in found["changes"]]
    reached = [(c["column"], *_reached(one)) for c in found["changes"] for one in c["reaches"]]
    tables = [table(rows, HEADER), *([table(reached, REACHED)] if reached else ())]
    return "\n\n".join([f"{head}\n{tables[0]}", *tables[1:], *([] if found["allowed"] else [f"refused: {RULE}"])])


def _reached(one: Impact) -> tuple[str, str, str]:
    how = one.effect if len(one.effect) <= WIDTH else f"{one.effect[: WIDTH - 3]}..."
    return f"{one.kind} {one.name}", ", ".join(one.models), how
