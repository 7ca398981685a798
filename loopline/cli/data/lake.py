"""Command ``loopline lake tidy``: compacts small files, and removes old versions that no registered model pins."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from loopline.cli.command import Command, progress
from loopline.cli.lazy import LazyGroup
from loopline.cli.output import Answer, table
from loopline.cli.subject import opened

if TYPE_CHECKING:
    from loopline.platform_core.training.lake_care import Cared

COLUMNS = ("table", "files", "deleted", "pinned versions", "problem")

lake = LazyGroup(
    "lake",
    {"tidy": ("loopline.cli.data.lake:tidy", "Merge small files, and remove old versions that nothing needs.")},
    "Lake maintenance.",
)


@click.command("tidy", cls=Command)
@click.argument("team", required=False)
@click.option("--older-than-days", default=7.0, show_default=True, help="Younger versions stay, needed or not.")
@click.option("--dry-run", is_flag=True, help="Only say which versions are pinned.")
def tidy(team: str | None, older_than_days: float, dry_run: bool) -> Answer:
    """Tidy every table of TEAM, or of all teams; a version that a registered model's training set pins stays."""
    from loopline.platform_core.training import lake_care

    with opened(only=("lake", "registry")) as platform, progress("tidying the lake"):
        wanted = [team] if team else lake_care.teams(platform)
        age = timedelta(days=older_than_days)
        cared = [each for name in wanted for each in lake_care.care(platform, name, age, pretend=dry_run)]
    return Answer({"tables": cared, "dry_run": dry_run}, _text(cared), int(any(each.problem for each in cared)))


def _text(cared: list[Cared]) -> str:
    if not cared:
        return "no table was ever written"
    return table([_row(each) for each in cared], COLUMNS)


def _row(each: Cared) -> tuple[str, ...]:
    done = each.tidied
    files = f"{done.files_before} → {done.files_after}" if done else "-"
    pinned = ", ".join(map(str, each.pinned)) or "none"
    lost = f"; gone: {', '.join(map(str, each.lost))}" if each.lost else ""
    return each.table, files, str(done.files_deleted) if done else "-", f"{pinned}{lost}", each.problem
