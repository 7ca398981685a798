"""Command ``loopline cycle cost``: resource usage and cost of a model's trainings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from loopline.cli.command import Command
from loopline.cli.output import Answer, table
from loopline.cli.subject import opened, referenced

if TYPE_CHECKING:
    from loopline.platform_core.loop.ledger.ledger import Entry
    from loopline.platform_core.training.prices import Prices

HEADER = ("trained (UTC)", "version", "seconds", "CPU seconds", "GPU seconds", "billed", "cost")


@click.command("cost", cls=Command)
@click.argument("model")
@click.option("--last", type=click.IntRange(min=1), default=10, show_default=True, help="So many trainings.")
def cost(model: str, last: int) -> Answer:
    """Tell what MODEL's newest trainings cost, oldest first, by the price sheet of the environment.

    A training whose service says what it bills costs that, if the sheet has its type of machine; else what it used.
    """
    from loopline.platform_core.loop.ledger.entry_kinds import REGISTERED
    from loopline.platform_core.training.prices import of_platform

    with opened(only=()) as platform:
        ref, prices = referenced(platform, model), of_platform(platform)
        entries = [one for one in platform.ledger.entries(ref, kinds=[REGISTERED]) if one.details.get("usage")]
    trainings = [_training(entry, prices) for entry in entries[-last:]]
    data = {"model": ref, "prices": prices.name if prices else "", "currency": prices.currency if prices else ""}
    if not trainings:
        return Answer(data | {"trainings": []}, f"no training of {ref} said what it used")
    by = f"by {prices.name}, in {prices.currency}" if prices else "no price sheet: name one in the environment file"
    text = table([_row(one) for one in trainings], HEADER)
    return Answer(data | {"trainings": trainings}, f"{text}\n{by}")


def _training(entry: Entry, prices: Prices | None) -> dict[str, Any]:
    """Return a training's use as the ledger has it, with its cost; None without a price sheet."""
    from loopline.platform_core.training.prices import FINEST

    used: Any = entry.details["usage"]
    said: dict[str, Any] = {"at": entry.at, "version": entry.version, "cycle": entry.cycle} | used
    return said | {"cost": round(prices.of_training(used), FINEST) if prices else None}


def _row(one: dict[str, Any]) -> tuple[object, ...]:
    from loopline.platform_core.training.prices import money

    billed = f"{one['machines']} of {one['machine']}, {one['billed_seconds']:.0f} s" if "machine" in one else ""
    used = (one["wall_seconds"], one["cpu_seconds"], one["gpu_seconds"])
    cost = None if one["cost"] is None else money(one["cost"])
    return one["at"], one["version"], *used, billed, cost
