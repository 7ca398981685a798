"""``loopline cycle start`` and ``loopline cycle list``."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import click

from loopline.cli.command import Command, Instant, progress
from loopline.cli.lazy import LazyGroup
from loopline.cli.output import Answer, table
from loopline.cli.subject import declared, opened, person, referenced

if TYPE_CHECKING:
    from loopline.cli.cycle_state import Standing
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.loop.cycles import Cycle
    from loopline.platform_core.platform import Platform

POLL_SECONDS = 0.5

cycle = LazyGroup(
    "cycle",
    {
        "start": ("loopline.cli.cycle:start", "Open a cycle: train, judge, roll out."),
        "list": ("loopline.cli.cycle:show", "Every cycle of a model, with cause and verdict."),
        "cost": ("loopline.cli.cycle_cost:cost", "What a model's trainings used, and what that costs."),
        "close": ("loopline.cli.cycle_ends:close", "End an open cycle as failed."),
        "proceed": ("loopline.cli.cycle_ends:proceed", "Let a cycle learn though checks of its data fail."),
    },
    "Turns of the loop: open one, list them, end one.",
)


@click.command("start", cls=Command)
@click.argument("model")
@click.option("--reason", required=True, help="Why; kept in the ledger.")
@click.option("--by", metavar="NAME", help="Who; you when left out.")
@click.option("--changed-at", type=Instant(), help="When the change was made, such as its commit; for the lead time.")
@click.option("--wait", is_flag=True, help="Wait until it is closed, or its rollout bakes.")
@click.option("--timeout-seconds", default=900.0, show_default=True, help="How long to wait.")
def start(  # noqa: PLR0913, PLR0917 - an option each
    model: str, reason: str, by: str | None, changed_at: datetime | None, wait: bool, timeout_seconds: float
) -> Answer:
    """Open a cycle of MODEL, without cool-down or daily budget; the running platform picks it up within seconds.

    A freeze, or a cycle that is open, forbids it. With --wait the exit code is 1 unless a version is on its way.
    """
    from uuid import uuid4

    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.loop import cycles

    team, declaration = declared(model)
    ref, cause = ModelRef(team.name, declaration.name), f"started by {person(by)}: {reason}"
    with opened(only=("serving",) if wait else ()) as platform:
        now, key = platform.clock.now(), f"hand:{uuid4().hex}"
        opened_now = cycles.open_cycle(
            platform.ledger, ref, declaration.drift, cause, key, now, force=True, changed_at=changed_at
        )
        if wait:
            with progress(f"cycle {opened_now.cycle_id}") as update:
                return _outcome(ref, _waited(platform, opened_now, timeout_seconds, update))
    said = f"cycle {opened_now.cycle_id} is open; follow it with 'loopline model status {ref}'"
    return Answer({"model": ref, "cycle": opened_now.cycle_id, "cause": cause, "state": "open"}, said)


@click.command("list", cls=Command)
@click.argument("model")
def show(model: str) -> Answer:
    """List the cycles of MODEL, oldest first."""
    from loopline.platform_core.loop import cycles

    with opened(only=()) as platform:
        ref = referenced(platform, model)
        found = cycles.cycles(platform.ledger, ref)
    rows = [(c.opened_at, c.closed_at, c.state, c.cycle_id, c.cause, c.verdict) for c in found]
    header = ("opened (UTC)", "closed", "state", "cycle", "cause", "verdict")
    return Answer({"model": ref, "cycles": found}, table(rows, header) if rows else f"{ref} has had no cycle yet")


def _waited(platform: Platform, one: Cycle, timeout_seconds: float, update: Callable[[str], None]) -> Standing:
    """Wait until the cycle needs no more waiting for.

    Raises:
        StoreUnavailable: it still does after so many seconds.
    """
    from loopline.cli.cycle_state import standing
    from loopline.platform_core.errors import StoreUnavailable

    give_up = time.monotonic() + timeout_seconds
    while not (found := standing(platform, one)).settled:
        if time.monotonic() > give_up:
            problem = f"cycle {one.cycle_id} is still open after {timeout_seconds:.0f} s: {found.sentence}"
            raise StoreUnavailable(problem, "see that 'loopline up' runs, and read its runs in Dagster's UI")
        update(found.sentence)
        time.sleep(POLL_SECONDS)
    return found


def _outcome(ref: ModelRef, found: Standing) -> Answer:
    data = {
        "model": ref,
        "cycle": found.cycle.cycle_id,
        "cause": found.cycle.cause,
        "state": found.state,
        "verdict": found.cycle.verdict,
        "percent": found.percent,
    }
    return Answer(data, found.sentence, exit_code=0 if found.state in {"promoted", "baking"} else 1)
