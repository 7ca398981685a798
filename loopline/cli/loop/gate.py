"""Commands ``loopline gate show`` and ``override``: gate verdicts of a version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loopline.cli.command import Command
from loopline.cli.lazy import LazyGroup
from loopline.cli.output import Answer, table
from loopline.cli.subject import declared, opened, referenced
from loopline.platform_core.turn import start_rollout

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.loop.cycles.gates import Verdict
    from loopline.platform_core.specs import Model

gate = LazyGroup(
    "gate",
    {
        "show": ("loopline.cli.loop.gate:show", "Gate verdicts of a version."),
        "override": ("loopline.cli.loop.gate:override", "Let a version pass a gate that it failed, in your name."),
    },
    "Gate verdicts of a version; override one in your name.",
)


@click.command("show", cls=Command)
@click.argument("model")
@click.option("--version", help="Of which version; the newest that was judged when left out.")
def show(model: str, version: str | None) -> Answer:
    """Show what the gates said of a version of MODEL."""
    from loopline.platform_core.loop.cycles import gates

    with opened(only=()) as platform:
        ref = referenced(platform, model)
        if version is None:
            judged = platform.ledger.entries(ref, [gates.JUDGED], limit=1, newest_first=True)
            version = judged[0].version if judged else ""
        verdict = gates.verdict_of(platform.ledger, ref, version)
        if verdict is None:
            raise gates.never_judged(platform.ledger, ref, version)
    return _answer(ref, version, verdict)


@click.command("override", cls=Command)
@click.argument("model")
@click.option("--version", required=True, help="Which version.")
@click.option("--gate", "name", required=True, help="Which gate, as 'gate show' names it.")
@click.option("--by", required=True, metavar="NAME", help="Who answers for it.")
@click.option("--reason", required=True, help="Why; kept in the ledger.")
@click.option("--deploy", is_flag=True, help="Start its rollout, if it passes all its gates by that.")
def override(model: str, version: str, name: str, by: str, reason: str, *, deploy: bool) -> Answer:  # noqa: PLR0913
    """Let a version of MODEL pass one gate that it failed, in a person's name."""
    from loopline.platform_core.loop.cycles import gates

    spec = declared(model)[1] if deploy else None  # what cannot be rolled out is said before anything is written
    with opened(only=()) as platform:
        ref = referenced(platform, model)
        verdict = gates.override(platform.ledger, ref, version, name, by, reason, platform.clock.now())
    if spec is not None and verdict.passed:
        _start_rollout(ref, spec, version)
    return _answer(ref, version, verdict)


def _start_rollout(ref: ModelRef, spec: Model, version: str) -> None:
    from loopline.platform_core.errors import LooplineError
    from loopline.platform_core.loop.cycles import gates

    try:
        with opened() as platform:
            cycle = gates.cycle_of_version(platform.ledger, ref, version)
            start_rollout(platform, ref, spec, version, cycle, platform.clock.now())
    except LooplineError as error:
        error.problem = f"the gate is overridden, but the start of the rollout failed: {error.problem}"
        raise


def _answer(ref: ModelRef, version: str, verdict: Verdict) -> Answer:
    header = ("gate", "v", "value", "bound", "passed", "detail", "overridden by")
    rows = [(r.gate, r.version, r.value, r.bound, r.passed, r.detail, r.overridden_by) for r in verdict.readings]
    said = f"version {version} of {ref} {'passes' if verdict.passed else 'does not pass'}\n{table(rows, header)}"
    return Answer({"model": ref, "version": version, "passed": verdict.passed, "readings": verdict.readings}, said)
