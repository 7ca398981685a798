"""Commands ``loopline rollout list``, ``hold`` and ``resume``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

from loopline.cli.command import Command
from loopline.cli.lazy import LazyGroup
from loopline.cli.output import Answer, table
from loopline.cli.subject import opened, person, referenced

if TYPE_CHECKING:
    from loopline.platform_core.loop.rollouts.rollouts import RolloutRecord

rollout = LazyGroup(
    "rollout",
    {
        "list": ("loopline.cli.loop.rollout:show", "Every rollout that runs, is held or is watched."),
        "hold": ("loopline.cli.loop.rollout:hold", "Hold a rollout at its percent; harm still rolls it back."),
        "resume": ("loopline.cli.loop.rollout:resume", "Let a rollout that is held go on."),
    },
    "Rollouts in progress: list them, hold one, resume it.",
)


@click.command("list", cls=Command)
def show() -> Answer:
    """List the rollouts that run, are held or are watched after their promotion, oldest first."""
    from loopline.platform_core.loop.rollouts import rollouts

    with opened(only=()) as platform:
        found = rollouts.looked_after(platform.ledger)
    rows = [(r.started_at, r.ref, r.version, r.state, r.where, r.step_started_at, r.cycle) for r in found]
    header = ("started (UTC)", "model", "version", "state", "step", "since", "cycle")
    data = [{"model": r.ref, "version": r.version, "state": r.state, "percent": r.percent} | _more(r) for r in found]
    return Answer({"rollouts": data}, table(rows, header) if rows else "no rollout is under way")


@click.command("hold", cls=Command)
@click.argument("model")
@click.option("--reason", required=True, help="Why; kept in the ledger.")
@click.option("--by", metavar="NAME", help="Who; you when left out.")
def hold(model: str, reason: str, by: str | None) -> Answer:
    """Keep the rollout of MODEL at its percent until someone resumes it; harm still takes it back."""
    return _switch(model, reason, person(by), "held")


@click.command("resume", cls=Command)
@click.argument("model")
@click.option("--reason", default="the reason for the hold is gone", show_default=True, help="Why.")
@click.option("--by", metavar="NAME", help="Who; you when left out.")
def resume(model: str, reason: str, by: str | None) -> Answer:
    """Let the rollout of MODEL that is held go on."""
    return _switch(model, reason, person(by), "running")


def _switch(model: str, reason: str, by: str, to: Literal["held", "running"]) -> Answer:
    from loopline.platform_core.loop.rollouts import rollouts

    with opened(only=()) as platform:
        ref = referenced(platform, model)
        switch = rollouts.hold if to == "held" else rollouts.resume
        record = switch(platform.ledger, ref, by, reason, platform.clock.now())
    data = {"model": ref, "version": record.version, "state": record.state, "percent": record.percent}
    said = f"the rollout of {ref} version {record.version} is {to} {record.where}, by {by}: {reason}"
    return Answer(data | _more(record) | {"by": by, "reason": reason}, said)


def _more(record: RolloutRecord) -> dict[str, object]:
    names = ("rollout_id", "cycle", "step", "in_shadow", "started_at", "step_started_at")
    return {name: getattr(record, name) for name in names}
