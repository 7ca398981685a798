"""Command ``loopline stream``: lands a source's stream, and materializes the views on it."""

from __future__ import annotations

import click

from loopline.cli.command import Command
from loopline.cli.data.metrics_port import serving
from loopline.cli.output import Answer
from loopline.cli.subject import opened, source_of
from loopline.platform_core.foundation.signals import set_by_signals


@click.command("stream", cls=Command)
@click.argument("source")
@click.option("--once", is_flag=True, help="End when nothing is left to land.")
@click.option("--limit", default=10_000, show_default=True, help="Records a micro-batch, at most.")
@click.option("--metrics-port", type=int, help="Serve Prometheus' text on this port, at /metrics.")
def stream(source: str, once: bool, limit: int, metrics_port: int | None) -> Answer:
    """Land SOURCE, written `source` or `team/source`, as its records come, and bring its views up to them.

    Run it, one process a source, where features must follow within a second or so; Ctrl-C or SIGTERM ends it behind
    the batch in hand. Where half a minute is soon enough, `loopline up` or Dagster's daemon is all that is needed: the
    ingest sensor starts a run whenever records wait. Both at once do no harm: who is overtaken begins again.
    """
    from loopline.platform_core.errors import InvalidSpec
    from loopline.platform_core.features.materialization.stream_worker import StreamWorker
    from loopline.platform_core.specs.contracts.source import STREAM

    team, declared = source_of(source)
    if declared.arrives != STREAM:
        raise InvalidSpec(
            f"source {team.name}/{declared.name} arrives {declared.arrives}, not as a stream",
            f'declare it with arrives="{STREAM}", or let the ingest sensor land its files',
        )
    with opened(only=("lake", "engine", "event_stream", "online_store")) as platform, set_by_signals() as stop:
        worker = StreamWorker(platform, team, declared, lambda said: click.echo(said, err=True), limit)
        with serving(metrics_port, worker.metrics.text):
            worker.run(stop, once=once)
    counted = worker.metrics
    data = {"source": counted.source, "records": counted.records, "rows": counted.rows, "dead_letters": counted.dead}
    return Answer(data, f"{counted.source}: {counted.rows} rows landed, {counted.dead} dead letters")
