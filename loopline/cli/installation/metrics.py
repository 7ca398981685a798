"""Command ``loopline metrics``: prints the platform's Prometheus metrics."""

from __future__ import annotations

import click

from loopline.cli.command import Command
from loopline.cli.output import Answer
from loopline.cli.subject import opened


@click.command("metrics", cls=Command)
def metrics() -> Answer:
    """Print what Prometheus scrapes of the platform: cycles, rollouts, landings, features, drift and alarms.

    The portal serves the same page at /metrics. The inference server and `loopline stream` have one of their own.
    """
    from loopline.platform_core import plugins
    from loopline.platform_core.observability.exposition import exposition

    with opened(only=()) as platform:
        page = exposition(platform, plugins.installed()).decode()
    return Answer({"metrics": page.splitlines()}, page.rstrip("\n"))
