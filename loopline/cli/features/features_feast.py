"""Command ``loopline features export-feast``: writes views as a Feast repository."""

from __future__ import annotations

from pathlib import Path

import click

from loopline.cli.command import Command, progress
from loopline.cli.output import Answer, table
from loopline.cli.subject import opened


@click.command("export-feast", cls=Command)
@click.argument("team")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--again", is_flag=True, help="Write repo.py and rows anew; feature_store.yaml stays as it is.")
def export_feast(team: str, folder: Path, again: bool) -> Answer:
    """Write the feature views of TEAM and their rows as a Feast repository in FOLDER, for `feast apply`."""
    from loopline.feast_export import export
    from loopline.platform_core import plugins

    declared = plugins.installed([team]).team(team)
    with opened(only=("lake",)) as platform, progress(f"exporting {team}"):
        done = export(platform, declared, folder.absolute(), again=again)
    said = table([(one.view, one.rows, one.version) for one in done], ("view", "rows", "version"))
    return Answer({"team": team, "folder": folder.absolute(), "views": done}, f"{said}\n\ncd {folder} && feast apply")
