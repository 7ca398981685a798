"""Command ``loopline quality``: data quality of a source's landings."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from loopline.cli.command import Command
from loopline.cli.output import Answer, table
from loopline.cli.subject import opened, source_of

if TYPE_CHECKING:
    from loopline.platform_core.ingestion.quality.landing_profile import Landing
    from loopline.platform_core.ingestion.quality.quality_bounds import Finding

LANDINGS = ("landed (UTC)", "arrivals", "rows", "newest event (UTC)", "contract")
COLUMNS = ("column", "null share", "minimum", "median", "maximum", "mean", "categories")


@click.command("quality", cls=Command)
@click.argument("source")
@click.option("--limit", default=10, show_default=True, help="Show at most so many landings.")
def quality(source: str, limit: int) -> Answer:
    """Show what landings of SOURCE, written `source` or `team/source`, were like, and what is odd about the newest.

    Each is judged by the thirty before it that were as usual; with fewer than eight nothing is. Asset checks of the raw
    rows say the same. Landings that are doubted still are named with why.
    """
    from loopline.platform_core.ingestion.quality.doubted_landings import standing
    from loopline.platform_core.ingestion.quality.quality import newest

    team, declared = source_of(source)
    with opened(only=("lake",)) as platform:
        found = newest(platform, team, declared, limit)
        doubted = [one.said for one in standing(platform.ledger, team.name, declared.name)]
    name, findings = f"{team.name}/{declared.name}", list(found.findings)
    shown = list(found.landings[-limit:])
    odd = [{"said": str(finding), "finding": finding} for finding in findings if not finding.passed]
    return Answer(
        {
            "source": name,
            "landings": [_shown(one) for one in shown],
            "judged": len(findings),
            "odd": odd,
            "doubted": doubted,
        },
        "\n".join([_text(name, shown, findings), *(f"doubted: {said}" for said in doubted)]),
    )


def _shown(landing: Landing) -> Landing:
    return replace(landing, blocks={})


def _text(name: str, landings: list[Landing], findings: list[Finding]) -> str:
    if not landings:
        return f"nothing of {name} has landed that was looked at"
    rows = [[each.landed_at, each.arrivals, each.rows, each.newest, each.contract] for each in landings]
    odd = [f"odd: {finding}" for finding in findings if not finding.passed]
    verdict = odd or [f"{len(findings)} figures of the newest landing are as usual" if findings else "too few to judge"]
    return "\n\n".join([table(rows, LANDINGS), table(_columns(landings[-1]), COLUMNS), "\n".join(verdict)])


def _columns(landing: Landing) -> list[list[object]]:
    return [
        [name, c.nulls / landing.rows, c.minimum, c.middle, c.maximum, c.mean, c.categories and len(c.categories)]
        for name, c in landing.columns.items()
    ]
