"""Command ``loopline init``: writes an installation's configuration files into a folder."""

from __future__ import annotations

from pathlib import Path

import click

from loopline.cli.command import command
from loopline.cli.output import Answer

FOLDER = click.Path(path_type=Path, file_okay=False)


@command("init")
@click.argument("folder", type=FOLDER, default=".")
@click.option("--team", "name", default="shop", show_default=True, help="A team to begin with.")
@click.option("--no-team", is_flag=True, help="Only environment files, prices, alert rules and dashboards.")
def init(folder: Path, name: str, no_team: bool) -> Answer:
    """Write environment files, price sheets, alert rules, dashboards and a first team into FOLDER [here].

    What is there already stays as it is. Run it again after an upgrade to get what is new.
    """
    from loopline.cli.installation.first_files import written

    files, kept = written(folder)
    then = ["loopline validate", "loopline up"]
    if not no_team:
        made = _team(folder / "plugins" / name, name)
        files += made
        kept += [] if made else [folder / "plugins" / name]
        then.insert(0, f"pip install -e {Path('plugins', name)}")
    lines = [*map(str, files), *(f"{path} is there already: left as it is" for path in kept)]
    step = f"cd {folder} && " if folder != Path() else ""
    text = "\n".join([*lines, f"next: {step}{' && '.join(then)}"])
    return Answer({"files": [str(path) for path in files], "kept": [str(path) for path in kept], "next": then}, text)


def _team(folder: Path, name: str) -> list[Path]:
    """Make the team's package, unless there is one."""
    from loopline.templates import create_team

    if folder.exists():
        return []
    answers = {"team": name, "source": "orders", "entity": "customer"}
    return [one.folder / path for one in create_team(folder, answers, "outcome") for path in one.files]
