"""Command ``loopline features audit``: recomputes entities and compares them with stored and served rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from loopline.cli.command import Command, progress
from loopline.cli.output import Answer, table
from loopline.cli.subject import opened

if TYPE_CHECKING:
    from loopline.platform_core.features.materialization.audit import Audited
    from loopline.platform_core.specs import FeatureView, Team

COLUMNS = ("view", "entities", "differ", "mended", "what")


@click.command("audit", cls=Command)
@click.argument("view", required=False)
@click.option("--team", help="Every view of this team.")
@click.option("--sample", default=1000, show_default=True, help="Entities of a view, half of them the latest.")
@click.option("--mend", is_flag=True, help="Write anew whatever differs.")
def audit(view: str | None, team: str | None, sample: int, mend: bool) -> Answer:
    """Compute entities of VIEW, or of every view, whole, and compare with what is offline, online and incremental.

    A view whose rows turn out to rest on other entities' rows is computed whole from then on. What differs is an
    alarm until an audit finds nothing; exit code 1. Each night Dagster does the same.
    """
    from loopline.platform_core.features.materialization.audit import audit as audited

    found = []
    with opened(only=("lake", "engine", "online_store")) as platform:
        for owner, one in _wanted(view, team):
            with progress(f"auditing {owner.name}/{one.name}"):
                found.append(audited(platform, owner, one, sample, mend=mend))
    wrong = any(each.cause for each in found)
    return Answer({"views": found}, table([_row(each) for each in found], COLUMNS), exit_code=int(wrong))


def _wanted(view: str | None, team: str | None) -> Iterator[tuple[Team, FeatureView]]:
    from loopline.cli.features.features import view_of
    from loopline.platform_core import environment, plugins, sites
    from loopline.platform_core.errors import NotFound

    if view is not None:
        yield view_of(f"{team}/{view}" if team and "/" not in view else view)
        return
    teams = plugins.installed([team] if team else None).teams
    if team and not teams:
        raise NotFound(f"no team {team!r} is installed", "see 'loopline plugin check'")
    every = environment.sites()
    yield from ((owner, one) for owner in teams if every.of(owner.name) == sites.here() for one in owner.views)


def _row(found: Audited) -> tuple[str, ...]:
    what = found.example or found.skipped or "as it should be"
    return found.view, str(found.entities), str(found.differing), str(found.mended), what
