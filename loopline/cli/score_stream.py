"""``loopline score-stream``."""

from __future__ import annotations

import click

from loopline.cli.command import Command
from loopline.cli.output import Answer
from loopline.cli.subject import opened, referenced
from loopline.platform_core.foundation.signals import set_by_signals


@click.command("score-stream", cls=Command)
@click.argument("name", metavar="MODEL")
@click.option("--from", "source", required=True, help="Stream of requests, written `name` or `team/name`.")
@click.option("--to", "target", required=True, help="Stream of answers.")
@click.option("--group", help="Who reads together [score.TEAM.MODEL].")
@click.option("--member", default="", help="A name that stays over restarts, such as a pod's: no wait after a kill.")
@click.option("--once", is_flag=True, help="End when nothing has come for a while.")
@click.option("--limit", default=500, show_default=True, help="Records a commit, at most.")
def score_stream(name: str, source: str, target: str, group: str | None, member: str, once: bool, limit: int) -> Answer:  # noqa: PLR0913, PLR0917 - click's
    """Score with MODEL what comes over a stream, and answer on another, exactly once.

    A request is JSON: {"id": .., "entities": {..}, "features": {..}, "event_time": ..}. What is none, or what the model
    refuses, goes to the stream of requests with ".dead" at the end, with the reason. The stable version scores, with
    features from the online store, and each answer is in the prediction log. Start as many as the stream has
    partitions: they share them.
    """
    from loopline.platform_core.scoring.stream import StreamScorer

    only = ("online_store", "event_stream", "serving", "registry")
    with opened(only=only) as platform, set_by_signals() as stop:
        ref = referenced(platform, name)
        asked, said = (each if "/" in each else f"{ref.team}/{each}" for each in (source, target))
        joined = platform.event_stream.join(asked, group or f"score.{ref.dotted}", member)
        scorer = StreamScorer(platform, ref, asked, said, joined, lambda note: click.echo(note, err=True), limit)
        try:
            scorer.run(stop, once=once)
        finally:
            scorer.close()
    answers, dead = scorer.counted[said], scorer.counted[f"{asked}.dead"]
    return Answer({"model": ref, "answers": answers, "dead": dead}, f"{ref}: {answers} answers, {dead} dead records")
