"""Commands ``loopline score-stream`` and ``scorers``: score a stream onto another; status of the scorers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loopline.cli.command import Command
from loopline.cli.data.metrics_port import serving
from loopline.cli.output import Answer, table
from loopline.cli.subject import opened, referenced
from loopline.platform_core.foundation.signals import set_by_signals

if TYPE_CHECKING:
    from loopline.platform_core.specs import Team


@click.command("score-stream", cls=Command)
@click.argument("name", metavar="MODEL")
@click.option("--from", "source", required=True, help="Stream of requests, written `name` or `team/name`.")
@click.option("--to", "target", required=True, help="Stream of answers.")
@click.option("--group", help="Who reads together [score.TEAM.MODEL].")
@click.option("--member", default="", help="A name that stays over restarts, such as a pod's: no wait after a kill.")
@click.option("--once", is_flag=True, help="End when nothing has come for a while.")
@click.option("--limit", default=500, show_default=True, help="Records a commit, at most.")
@click.option("--metrics-port", type=int, help="Serve Prometheus' text on this port, at /metrics.")
def score_stream(  # noqa: PLR0913, PLR0917 - click's
    name: str,
    source: str,
    target: str,
    group: str | None,
    member: str,
    once: bool,
    limit: int,
    metrics_port: int | None,
) -> Answer:
    """Score with MODEL what comes over a stream, and answer on another, exactly once.

    A request is JSON: {"id": .., "entities": {..}, "features": {..}, "event_time": ..}. What is none, or what the model
    refuses, goes to the stream of requests with ".dead" at the end, with the reason. The stable version scores, with
    features from the online store, and each answer is in the prediction log. Start as many as the stream has
    partitions: they share them.

    Where MODEL has windows over the source that --from names, records are that source's events: each updates its
    windows, and is scored with them.
    """
    from loopline.platform_core.scoring.stream import StreamScorer

    only = ("online_store", "event_stream", "serving", "registry", "lake", "engine")
    with opened(only=only) as platform, set_by_signals() as stop:
        ref = referenced(platform, name)
        asked, said = (each if "/" in each else f"{ref.team}/{each}" for each in (source, target))
        joined = platform.event_stream.join(asked, group or f"score.{ref.dotted}", member)
        scorer = StreamScorer(
            platform, ref, asked, said, joined, lambda note: click.echo(note, err=True), limit, _team(asked)
        )
        try:
            with serving(metrics_port, lambda: scorer.shown.text() if scorer.shown else b""):
                scorer.run(stop, once=once)
        finally:
            scorer.close()
    answers, dead = scorer.counted[said], scorer.counted[f"{asked}.dead"]
    return Answer({"model": ref, "answers": answers, "dead": dead}, f"{ref}: {answers} answers, {dead} dead records")


def _team(stream: str) -> Team | None:
    """Return the team that declares a source of this name, for the contract of its events; None where none loads."""
    from loopline.platform_core import plugins

    team, _, source = stream.partition("/")
    found = [one for one in plugins.installed([team]).teams if source in {each.name for each in one.sources}]
    return found[0] if found else None


@click.command("scorers", cls=Command)
@click.argument("name", metavar="MODEL")
def scorers(name: str) -> Answer:
    """List the scorers of MODEL's streams: how far each is, and what state it keeps of its partitions.

    A scorer tells every few seconds, into the folder of the prediction log; one that was killed is silent, and is shown
    for a day. What a definition is called ends with its hash: with another one state is replayed.
    """
    import msgspec

    from loopline.platform_core.scoring.scorer_status import scorers as found_in
    from loopline.platform_core.scoring.stream import root_of

    with opened(only=("serving",)) as platform:
        ref = referenced(platform, name)
        found = found_in(root_of(platform), ref.dotted)
    rows = [
        (
            one.process,
            "silent" if one.is_silent else "scores",
            one.source,
            p.partition,
            p.lag,
            p.entities,
            p.events,
            one.definition,
        )
        for one in found
        for p in one.partitions
    ]
    header = ("process", "is", "stream", "partition", "lag", "entities", "events", "windows")
    data = {"model": ref, "scorers": [msgspec.to_builtins(one) | {"silent": one.is_silent} for one in found]}
    return Answer(data, table(rows, header) if rows else f"no scorer of {ref} has told of itself here")
