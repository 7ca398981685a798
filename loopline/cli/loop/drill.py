"""Command ``loopline drill``: retrains with a deliberate mistake, to test that the rollout rolls back."""

from __future__ import annotations

import click

from loopline.cli.command import Command
from loopline.cli.output import Answer
from loopline.cli.subject import declared, opened, person


@click.command("drill", cls=Command)
@click.argument("model")
@click.option("--distort", multiple=True, required=True, metavar="COLUMN=FACTOR", help="Multiply a column.")
@click.option("--by", metavar="NAME", help="Who; you when left out.")
def drill(model: str, distort: tuple[str, ...], by: str | None) -> Answer:
    """Retrain MODEL with a mistake on purpose, such as cents for euros, to see the rollout take it back.

    The running platform picks the cycle up within seconds.
    """
    from uuid import uuid4

    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.loop.cycles import cycles

    team, declaration = declared(model)
    ref = ModelRef(team.name, declaration.name)
    factors = dict(_factor(text) for text in distort)
    cause = f"drill by {person(by)}: {', '.join(distort)}"
    with opened(only=()) as platform:
        now, key = platform.clock.now(), f"drill:{uuid4().hex}"
        cycle = cycles.open_cycle(platform.ledger, ref, declaration.drift, cause, key, now, force=True, drill=factors)
    said = f"cycle {cycle.cycle_id} is open; follow it with 'loopline model status {ref}'"
    return Answer({"model": ref, "cycle": cycle.cycle_id, "drill": factors, "cause": cause}, said)


def _factor(text: str) -> tuple[str, float]:
    column, _, factor = text.partition("=")
    try:
        return column, float(factor)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not COLUMN=FACTOR, such as price=100", param_hint="--distort") from None
