"""Command ``loopline history``: a model's ledger entries, or what was live at a time."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from loopline.cli.command import Command, Instant
from loopline.cli.output import Answer, cell, table
from loopline.cli.subject import opened, remembered

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.loop.history import Account


@click.command("history", cls=Command)
@click.argument("model")
@click.option("--at", type=Instant(), help="Say what was live at this time, and why; UTC unless it names a zone.")
@click.option("--all", "everything", is_flag=True, help="Tell what is looked at day after day too.")
def history(model: str, at: datetime | None, everything: bool) -> Answer:
    """Tell what happened to MODEL, or what was live at a time and why.

    What is only looked at (windows, quality, skew, whether the endpoint is ready) is told with --all.
    """
    from loopline.platform_core.loop import history as past
    from loopline.platform_core.loop.sentences import OBSERVED

    with opened(only=()) as platform:
        ref = remembered(platform, model)
        if at is not None:
            return _account(ref, at, past.live_at(platform.ledger, ref, at))
        told = past.story(platform.ledger, ref, without=() if everything else OBSERVED)
    said = "\n".join(one.text for one in told) or f"nothing happened to {ref} yet"
    return Answer({"model": ref, "entries": told}, said)


def _account(ref: ModelRef, at: datetime, account: Account) -> Answer:
    rows = [
        ("stable", account.stable.version if account.stable else None),
        ("candidate", f"{account.candidate.version} for {account.percent} %" if account.candidate else None),
        *([("shadow", account.shadow.version)] if account.shadow else []),
        ("cycle", account.cycle),
        ("since", account.since),
    ]
    why = "\n".join(f"  {line}" for line in account.why)
    return Answer({"model": ref, "at": at, **_fields(account)}, f"{ref} at {cell(at)}\n{table(rows)}\nwhy\n{why}")


_FIELDS = ("stable", "candidate", "shadow", "percent", "cycle", "since", "why")


def _fields(account: Account) -> dict[str, object]:
    return {name: getattr(account, name) for name in _FIELDS}
