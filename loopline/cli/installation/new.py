"""Commands ``loopline new`` and ``loopline update``: a plugin, or a team's next model, from a template, and updates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loopline.cli.command import command
from loopline.cli.lazy import LazyGroup
from loopline.cli.output import Answer

if TYPE_CHECKING:
    from loopline.templates import Made, Updated

FOLDER = click.Path(path_type=Path)

new = LazyGroup(
    "new",
    {
        "team": (
            "loopline.cli.installation.new:team",
            "A team's package, with a source, features, a model and files to begin with.",
        ),
        "model": ("loopline.cli.installation.new:model", "Another model of a team that was made so."),
        "vendor": (
            "loopline.cli.installation.new:vendor",
            "A distribution with a vendor of a contract, and the contract's kit.",
        ),
        "kind": (
            "loopline.cli.installation.new:kind",
            "A distribution with a kind of models, and the kit of kinds.",
        ),
    },
    "Begin from a template; 'loopline update' brings it to the template's newest version later.",
)


@command("team")
@click.argument("name")
@click.option("--into", type=FOLDER, default="plugins", help="Folder in which the team's folder is made [plugins].")
@click.option("--source", default="orders", help="What arrives [orders].")
@click.option("--entity", default="customer", help="Of whom features are kept [customer].")
@click.option("--model", "first", default="outcome", help="The first model [outcome].")
def team(name: str, into: Path, source: str, entity: str, first: str) -> Answer:
    """Make the package of team NAME, with one model; it passes 'plugin check' as it is."""
    from loopline.templates import create_team

    made = create_team(into / name, {"team": name, "source": source, "entity": entity}, first)
    return _made(made, f"pip install -e {into / name} && loopline plugin check {name}")


@command("model")
@click.argument("name")
@click.option("--team", "folder", type=FOLDER, required=True, help="The team's folder, such as plugins/shop.")
def model(name: str, folder: Path) -> Answer:
    """Add model NAME to a team that 'loopline new team' made: one file, found by itself."""
    from loopline.templates import create
    from loopline.templates.rendering import answers_of_team

    answers = answers_of_team(folder)
    made = create("model", folder, {**answers, "model": name})
    return _made([made], f"loopline plugin check {answers['team']}")


@command("vendor")
@click.argument("name")
@click.option("--contract", required=True, help="The contract, by its name in an environment file.")
@click.option("--into", type=FOLDER, default=".", help="Folder in which the vendor's folder is made [here].")
def vendor(name: str, contract: str, into: Path) -> Answer:
    """Make a distribution for vendor NAME; its tests say which promises are kept."""
    from loopline.templates import create_vendor

    made = create_vendor(name, contract, into / name)
    return _made([made], f"pip install -e {into / name} && pytest {into / name}")


@command("kind")
@click.argument("name")
@click.option("--into", type=FOLDER, default=".", help="Folder in which the kind's folder is made [here].")
def kind(name: str, into: Path) -> Answer:
    """Make a distribution for NAME, a kind of models; as it comes it keeps the promises of every kind."""
    from loopline.templates import create_kind

    made = create_kind(name, into / name)
    return _made([made], f"pip install -e {into / name} && pytest {into / name}")


@command("update")
@click.argument("folder", type=FOLDER)
def update(folder: Path) -> Answer:
    """Bring what a template made in FOLDER to the template's newest version; what people changed stays.

    Ends with 1 where both sides changed the same lines: the files then hold both between conflict markers.
    """
    from loopline.templates import update as updated

    done = updated(folder)
    conflicts = sorted({str(path) for one in done for path in one.conflicts})
    lines = [*map(_update_line, done), *(f"both sides changed {path}: look for <<<<<<<" for path in conflicts)]
    data: dict[str, Any] = {"updated": done, "conflicts": conflicts}
    return Answer(data, "\n".join(lines), exit_code=1 if conflicts else 0)


def _update_line(one: Updated) -> str:
    if one.before == one.after:
        return f"{one.answers}: is at the newest version, {one.after}"
    return f"{one.answers}: {one.before} to {one.after}"


def _made(made: list[Made], then: str) -> Answer:
    files = [str(one.folder / path) for one in made for path in one.files]
    return Answer({"files": files, "next": then}, "\n".join([*files, f"next: {then}"]))
