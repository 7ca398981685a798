"""Command ``loopline model trials``: leaderboard of a version's hyperparameter search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from loopline.cli.command import Command, progress
from loopline.cli.output import Answer, table
from loopline.cli.subject import opened, referenced
from loopline.platform_core.errors import NotFound

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.platform import Platform

_HEADER = ("trial", "estimator", "score", "seconds", "share", "parameters")


@click.command("trials", cls=Command)
@click.argument("name", metavar="MODEL")
@click.option("--version", default="", help="Whose search (else the newest version's).")
def trials(name: str, version: str) -> Answer:
    """Say what the search of a version of MODEL tried, the best first, beside its baseline and the champion."""
    with opened(only=()) as platform, progress("reading the ledger"):
        ref = referenced(platform, name)
        found = _found(platform, ref, version)
    return Answer({"model": ref, **found}, _text(found))


def _found(platform: Platform, ref: ModelRef, version: str) -> dict[str, Any]:
    from loopline.platform_core.loop.ledger.entry_kinds import REGISTERED

    entries = platform.ledger.entries(ref, [REGISTERED], newest_first=True)
    entry = next((one for one in entries if version in {"", one.version}), None)
    if entry is None:
        raise NotFound(
            f"no version {version or 'at all'} of {ref} is registered", "see 'loopline model status', or train one"
        )
    wanted = ("metrics", "champion_metrics", "baseline_metrics", "leaderboard", "importance")
    return {"version": entry.version, **{name: entry.details.get(name) for name in wanted}}


def _text(found: Mapping[str, Any]) -> str:
    rows = [
        (
            row["number"],
            row["family"] or "fit",
            row["score"] if row["score"] is not None else "ended early",
            row["seconds"],
            row["weight"] or "",
            ", ".join(f"{name}={_short(value)}" for name, value in row["params"].items()),
        )
        for row in found["leaderboard"] or ()
    ]
    sides = {"version": "metrics", "champion": "champion_metrics", "baseline": "baseline_metrics"}
    measured = {side: found[key] for side, key in sides.items() if found[key]}
    names = [name for name in found["metrics"] or {} if name != "rows"]
    beside = [(side, *(of.get(name) for name in names)) for side, of in measured.items()]
    parts = [f"version {found['version']}, on its test rows", table(beside, ("", *names))]
    return "\n".join([*parts, "", "trials, on the validation rows", table(rows, _HEADER) if rows else "none is known"])


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
