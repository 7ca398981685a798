"""Command ``loopline demo``: replays a team's history through the whole loop."""

from __future__ import annotations

import contextlib

import click

from loopline.cli.command import Call, Command


@click.command("demo", cls=Command)
@click.argument("name", default="cancellations")
@click.option("--days", type=int, help="Days to replay; all when left out.")
@click.option("--keep", is_flag=True, help="Leave everything running at the end, to look at.")
@click.option("--on", metavar="FILE", help="Environment whose vendors it runs on: with a replay clock, an empty lake.")
@click.option("--write-likeness", metavar="FILE", help="Hash rows, features and training sets at the end, into a file.")
@click.option("--like", metavar="FILE", help="Such a file of another run; the story fails where hashes differ.")
@click.pass_obj
def demo(  # noqa: PLR0913, PLR0917 - one a option
    call: Call, name: str, days: int | None, keep: bool, on: str | None, write_likeness: str | None, like: str | None
) -> None:
    """Replay a team's real history on the data's own clock, and tell what happened to its model.

    ``cancellations``: which orders are taken back; ``value``: what a customer spends in the next 90 days; others are
    told by teams that are installed (entry points ``loopline.demos``).

    Ends with an error if the story did not hold.
    """
    from pathlib import Path

    from loopline.demo import story
    from loopline.demo.likeness import Asked

    write_to, other, file = (Path(path).absolute() if path else None for path in (write_likeness, like, on))
    with contextlib.redirect_stdout(call.stdout):  # the story is told as it happens
        code = story.main(
            days=days,
            told=name,
            keep=keep,
            output="json" if call.json else "text",
            environment=file,
            asked=Asked(write_to, other),
        )
    click.get_current_context().exit(code)
