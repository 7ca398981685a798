"""Commands ``loopline model card``, ``annex`` and ``sbom``: documentation of a version."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from loopline.cli.command import Command, progress
from loopline.cli.output import Answer
from loopline.cli.subject import live_version, opened, referenced

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.platform_core.cards.card import Document
    from loopline.platform_core.cards.known import Known


@click.command("card", cls=Command)
@click.argument("name", metavar="MODEL")
@click.argument("version", required=False)
def card(name: str, version: str | None) -> Answer:
    """Write the card of MODEL's VERSION, the live one when left out, as Markdown; with --output json as JSON."""
    from loopline.platform_core.cards.model_card import card as make

    return _answer(make, name, version)


@click.command("annex", cls=Command)
@click.argument("name", metavar="MODEL")
@click.argument("version", required=False)
def annex(name: str, version: str | None) -> Answer:
    """Write what is known of MODEL's VERSION under the headings of the EU AI Act's Annex IV.

    What only people know is marked as to be written; this is no legal advice.
    """
    from loopline.platform_core.cards.annex import annex as make

    return _answer(make, name, version)


@click.command("sbom", cls=Command)
@click.argument("name", metavar="MODEL")
@click.argument("version", required=False)
def sbom(name: str, version: str | None) -> Answer:
    """Write the bill of materials of MODEL's VERSION, what it needs where it is loaded, as CycloneDX 1.6 in JSON."""
    from loopline.platform_core.errors import NotFound
    from loopline.platform_core.training.packaging.materials import from_requirements

    known = _known(name, version)
    lines = known.trained.get("requirements")
    if not lines:
        raise NotFound(
            f"{known.ref} version {known.version} was trained before its requirements were written down",
            "train it anew, or take the bill of the image that serves it",
        )
    document = from_requirements(f"{known.ref}@{known.version}", list(lines))
    return Answer(document, json.dumps(document, indent=1))


def _answer(make: Callable[[Known], Document], name: str, version: str | None) -> Answer:
    document = make(_known(name, version))
    return Answer(document.to_json(), document.to_markdown().rstrip("\n"))


def _known(name: str, version: str | None) -> Known:
    from loopline.platform_core import plugins
    from loopline.platform_core.cards import known

    with opened(only=()) as platform, progress("reading the ledger"):
        ref = referenced(platform, name)
        team = next((one for one in plugins.installed().teams if one.name == ref.team), None)
        model = next((one for one in team.models if one.name == ref.model), None) if team else None
        return known.read(platform, ref, version or live_version(platform, ref), team, model)
