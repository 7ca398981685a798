"""``loopline demo``."""

from __future__ import annotations

import contextlib

import click

from loopline.cli.command import Call, Command


@click.command("demo", cls=Command)
@click.option("--days", type=int, help="Days of orders to replay; all when left out.")
@click.option("--keep", is_flag=True, help="Leave everything running at the end, to look at.")
@click.pass_obj
def demo(call: Call, days: int | None, keep: bool) -> None:
    """Replay two years of real orders on the data's own clock, and tell what happened.

    Ends with an error if the story did not hold.
    """
    from loopline.demo import story

    with contextlib.redirect_stdout(call.stdout):  # the story is told as it happens
        code = story.main(days=days, keep=keep, output="json" if call.json else "text")
    click.get_current_context().exit(code)
