"""Commands ``loopline cycle start``, ``list`` and ``show``: retraining cycles."""

from __future__ import annotations

import contextlib
import time
from datetime import datetime
from typing import TYPE_CHECKING

import click

from loopline.cli.command import Command, Instant
from loopline.cli.lazy import LazyGroup
from loopline.cli.output import Answer, table
from loopline.cli.subject import any_cycle, declared, opened, person, referenced

if TYPE_CHECKING:
    from loopline.cli.loop.cycle_state import Standing
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.loop.cycles.cycles import Cycle
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model, Team

POLL_SECONDS = 1.0

cycle = LazyGroup(
    "cycle",
    {
        "start": ("loopline.cli.loop.cycle:start", "Open a cycle: train, judge, roll out."),
        "list": ("loopline.cli.loop.cycle:every", "Every cycle of a model, with cause and verdict."),
        "show": ("loopline.cli.loop.cycle:show", "One cycle: its holds, what it waits for, and its history."),
        "cost": ("loopline.cli.loop.cycle_cost:cost", "What a model's trainings used, and what that costs."),
        "close": ("loopline.cli.loop.cycle_ends:close", "End an open cycle as failed."),
        "proceed": ("loopline.cli.loop.cycle_ends:proceed", "Let a held cycle train although checks of its data fail."),
    },
    "Retraining cycles: start one, list them, show one, end one.",
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

    A freeze, or a cycle that is open, forbids it. With --wait it says on stderr what it waits for and what to do, and
    the exit code is 1 unless a version answers, or is on its way.
    """
    from uuid import uuid4

    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.loop.cycles import cycles

    team, declaration = declared(model)
    ref, cause = ModelRef(team.name, declaration.name), f"started by {person(by)}: {reason}"
    with opened(only=("serving",) if wait else ()) as platform:
        now, key = platform.clock.now(), f"hand:{uuid4().hex}"
        opened_now = cycles.open_cycle(
            platform.ledger, ref, declaration.drift, cause, key, now, force=True, changed_at=changed_at
        )
        if wait:
            click.echo(f"cycle {opened_now.cycle_id} is open; its data is looked at", err=True)
            _look_at_data(team, declaration, opened_now)
            return _outcome(ref, _waited(platform, opened_now, timeout_seconds))
    said = f"cycle {opened_now.cycle_id} is open; follow it with 'loopline model status {ref}'"
    return Answer({"model": ref, "cycle": opened_now.cycle_id, "cause": cause, "state": "open"}, said)


@click.command("list", cls=Command)
@click.argument("model")
def every(model: str) -> Answer:
    """List the cycles of MODEL, oldest first."""
    from loopline.platform_core.loop.cycles import cycles

    with opened(only=()) as platform:
        ref = referenced(platform, model)
        found = cycles.cycles(platform.ledger, ref)
    rows = [(c.opened_at, c.closed_at, c.state, c.cycle_id, c.cause, c.verdict) for c in found]
    header = ("opened (UTC)", "closed", "state", "cycle", "cause", "verdict")
    return Answer({"model": ref, "cycles": found}, table(rows, header) if rows else f"{ref} has had no cycle yet")


@click.command("show", cls=Command)
@click.argument("name", metavar="CYCLE")
def show(name: str) -> Answer:
    """Show CYCLE, or the newest one of the model of that name: when it was held and by what, who let it go, its story.

    Of one that is open it says what it waits for and what to do; of one that was promoted, since when an endpoint
    answers with its version.
    """
    from loopline.cli.loop.cycle_waits import waits_for
    from loopline.platform_core.loop import history
    from loopline.platform_core.loop.cycles.cycle_holds import holds
    from loopline.platform_core.loop.rollouts import arrival
    from loopline.platform_core.loop.sentences import tell

    with opened(only=()) as platform:
        one = any_cycle(platform, name)
        told = history.of_cycle(platform.ledger, one.ref, one.cycle_id)
        waits = waits_for(platform, one) if one.state == "open" else None
        answers = arrival.answers(platform.ledger, one)
    held = holds(told)
    data = {"cycle": one, "holds": held, "waits": waits, "answers": answers, "entries": told}
    since = f"since {answers.since:%Y-%m-%d %H:%M:%S} UTC" if answers.since else None
    lines = [
        ("cycle", f"{one.cycle_id} of {one.ref}"),
        ("state", f"{one.state.replace('_', ' ')}{f': {one.verdict}' if one.verdict else ''}"),
        ("cause", one.cause),
        *(("held", str(hold).removeprefix("held ")) for hold in held),
        ("waits for", waits.what if waits else None),
        ("to do", waits.fix if waits else None),
        ("answers", "not yet: its endpoint loads it" if answers.awaited else since),
    ]
    return Answer(data, "\n".join([table([line for line in lines if line[1]]), "", *map(tell, told)]))


def _look_at_data(team: Team, declaration: Model, one: Cycle) -> None:
    """Look at the cycle's data as its sensor does, which may not run: what holds it is in the ledger then.

    Who starts a cycle may have no way to the lake, and the sensor looks all the same.
    """
    from loopline.platform_core import turn
    from loopline.platform_core.errors import LooplineError

    with contextlib.suppress(LooplineError), opened(only=("lake", "event_source")) as platform:
        if platform.environment.is_here(team.name):
            turn.held_by(platform, team, declaration, one)


def _waited(platform: Platform, one: Cycle, timeout_seconds: float) -> Standing:
    """Wait until the cycle needs no more waiting for, and say on stderr what for whenever that changes.

    Raises:
        StoreUnavailable: it still does after so many seconds.
    """
    from loopline.cli.loop.cycle_state import standing
    from loopline.cli.loop.cycle_waits import Waits, waits_for
    from loopline.platform_core.errors import StoreUnavailable

    give_up, said = time.monotonic() + timeout_seconds, ""
    while not (found := standing(platform, one)).settled:
        waits = waits_for(platform, one) if found.state == "open" else Waits(found.sentence, "wait for its endpoint")
        if str(waits) != said:
            said = str(waits)
            click.echo(said, err=True)
        if time.monotonic() > give_up:
            raise StoreUnavailable(f"it is not over after {timeout_seconds:.0f} s: {waits.what}", waits.fix)
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
