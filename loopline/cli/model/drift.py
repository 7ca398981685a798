"""Commands ``loopline drift``: the group, and ``simulate``, which shows whether a shift would raise an alarm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loopline.cli.command import Command, progress
from loopline.cli.lazy import LazyGroup
from loopline.cli.output import Answer, table
from loopline.cli.subject import declared, opened

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loopline.cli.model.simulation import Move, Simulated
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.monitor.drift.drift_verdicts import ColumnVerdict

drift = LazyGroup(
    "drift",
    {
        "show": ("loopline.cli.model.drift_shown:show", "Drift verdicts of the newest windows or days, by column."),
        "link": ("loopline.cli.model.drift_link:link", "Sign a link to the newest drift report, to be shared."),
        "ui": ("loopline.cli.model.drift_shown:ui", "Open the drift reports in their vendor's own interface."),
        "simulate": ("loopline.cli.model.drift:simulate", "Shift a column and see whether that would raise an alarm."),
    },
    "Drift of a model: verdicts, reports, and simulation of a shift.",
)


@click.command("simulate", cls=Command)
@click.argument("model")
@click.option("--column", required=True, help="A numeric feature.")
@click.option("--shift", type=float, default=0.0, help="Added to it, in its own units.")
@click.option("--factor", type=float, default=1.0, help="It is multiplied by this first.")
@click.option("--rows", type=click.IntRange(min=1), help="Size of the window; the model's smallest when left out.")
@click.option("--training-rows", "learnt", is_flag=True, help="Move rows of the training set, not recent predictions.")
def simulate(  # noqa: PLR0913, PLR0917 - Click hands each option over
    model: str, column: str, shift: float, factor: float, rows: int | None, learnt: bool
) -> Answer:
    """Move a column of what MODEL's live version was asked, and say whether the monitor would alarm.

    Takes recent predictions, or rows of the training set while there are too few, or where you ask for them: what has
    drifted already would alarm anyway. Nothing is written, and the model
    is not asked: its scores stay as they were.
    """
    from loopline.cli.model.simulation import Move, simulate
    from loopline.platform_core.foundation.names import ModelRef

    if (shift, factor) == (0.0, 1.0):
        raise click.UsageError("give --shift or --factor")
    team, declaration = declared(model)
    ref, move = ModelRef(team.name, declaration.name), Move(column, factor, shift)
    with opened(only=("lake", "registry")) as platform, progress("judging"):
        found = simulate(platform, ref, declaration.drift, move, rows, learnt)
    return Answer(_data(ref, move, found), _text(ref, move, found))


def _data(ref: ModelRef, move: Move, found: Simulated) -> dict[str, object]:
    return {
        "model": ref,
        "version": found.version,
        "move": move,
        "rows": found.after.rows,
        "rows_from": found.rows_from,
        "enough": found.after.enough,
        "drifted": found.after.drifted,
        "would_alarm": found.would_alarm,
        "alarms_anyway": found.anyway is not None,
        "added": found.added,
        "at_once": found.at_once is not None,
        "reason": found.lasting.reason if found.lasting else "",
        "before": found.before.columns,
        "after": found.after.columns,
    }


def _text(ref: ModelRef, move: Move, found: Simulated) -> str:
    what = f"{ref} version {found.version}, {found.after.rows} rows of {found.rows_from}, {move.column}"
    title = f"{what} x {move.factor:g} + {move.shift:g}"
    if not found.after.enough:
        return f"{title}\nnot enough rows to judge by: no alarm"
    header = ("column", "kind", "score before", "after", "threshold", "drifted", "how it moved")
    before, after = found.before.columns, found.after.columns
    rows = [(n, after[n].kind, _score(before, n), *_judged(after[n])) for n in after]
    return f"{title}\n{table(rows, header)}\n{_verdict(found)}"


def _score(columns: Mapping[str, ColumnVerdict], name: str) -> float | None:
    """Return a column's score; all columns together have none where too few did not drift by themselves."""
    return columns[name].score if name in columns else None


def _judged(column: ColumnVerdict) -> tuple[object, ...]:
    return column.score, column.threshold, column.drifted, column.moved if column.drifted else ""


def _verdict(found: Simulated) -> str:
    if found.lasting is None:
        return "no alarm, however long it lasts"
    when = "at once" if found.at_once else "if it lasts"
    if found.anyway is None:
        return f"alarm {when}: {found.lasting.reason}"
    added = f"the move adds {', '.join(found.added)}" if found.added else "the move adds no column"
    alone = "--training-rows tells what it does alone"
    return f"these rows alarm without the move: {found.anyway.reason}\n{added}; {alone}"
