"""Command ``loopline workspace``: prints Dagster's workspace file of the installed teams."""

from __future__ import annotations

from pathlib import Path

import click

from loopline.cli.command import Command
from loopline.cli.output import Answer


@click.command("workspace", cls=Command)
@click.option("--write", type=click.Path(dir_okay=False), help="Write it to this file.")
def workspace(write: str | None) -> Answer:
    """Print the workspace of the installed teams, one code location each, and the platform's own, for plain Dagster."""
    import yaml

    from loopline.platform_core import environment
    from loopline.up import dagster_home

    elsewhere = environment.sites().code_servers
    data = dagster_home.module_workspace([name for name in dagster_home.location_names() if name not in elsewhere])
    data["load_from"] += dagster_home.servers_elsewhere(elsewhere)
    text = yaml.safe_dump(data, sort_keys=False)
    if write:
        Path(write).write_text(text, encoding="utf-8")
        return Answer({"file": str(Path(write).absolute()), **data}, f"{write} is written")
    return Answer(data, text.rstrip())
