"""Command ``loopline watchdog``: runs the watchdog's checks and notifiers."""

from __future__ import annotations

from importlib import import_module

import click

from loopline.cli.command import Command
from loopline.cli.output import Answer
from loopline.cli.subject import opened
from loopline.platform_core.foundation.signals import set_by_signals

KUBELET = "loopline.pod.kubelet"
"""Who says why a pod does not start; named as the programs of pods are, for it speaks with a vendor of clusters."""


@click.command("watchdog", cls=Command)
@click.option(
    "--once", is_flag=True, help="Look once, tell what is to be told, and end; exit code 1 when alarms stand."
)
@click.option(
    "--dagster", metavar="URL", envvar="LOOPLINE_DAGSTER_URL", help="Dagster's web server [that of this home's 'up']."
)
@click.option("--interval", default=15.0, show_default=True, envvar="LOOPLINE_WATCHDOG_INTERVAL", help="Seconds.")
@click.option(
    "--patience",
    default=30.0,
    show_default=True,
    envvar="LOOPLINE_WATCHDOG_PATIENCE",
    help="Seconds in which programs may come back by themselves before that is an alarm.",
)
@click.option(
    "--heartbeat",
    default=120.0,
    show_default=True,
    envvar="LOOPLINE_WATCHDOG_HEARTBEAT",
    help="Seconds without a heartbeat after which a daemon is dead; it writes one every 30.",
)
def watchdog(once: bool, dagster: str | None, interval: float, patience: float, heartbeat: float) -> Answer:
    """Look for what nobody else says: dead daemons, silent sensors, broken teams, failed checks, hanging runs.

    What is wrong becomes an alarm in the ledger, once a cause, and the environment's notifiers tell people: once that
    it is wrong, once that it is over. `loopline up` runs it; elsewhere run one, or `--once` from a timer.
    """
    from loopline.platform_core import environment
    from loopline.platform_core.alarms import standing
    from loopline.watchdog.assembly import watchdog as made
    from loopline.watchdog.look import Bounds

    kubelet = import_module(KUBELET).of_this_pod()
    bounds = Bounds(patience=0 if once else patience, heartbeat=heartbeat)
    counted = ("lake", "registry") if environment.quotas().storage_bytes is not None else ()
    with opened(only=("serving", "notifier", "anchors", *counted)) as platform, set_by_signals() as stop:
        url = (dagster or _announced()).rstrip("/")
        dog = made(platform, url, bounds, lambda said: click.echo(said, err=True), kubelet and kubelet.words)
        if once:
            dog.round()
        else:
            dog.run(stop, interval)
        stands = standing(platform.ledger)
    data = {"standing": [one.alarm.cause for one in stands]}
    return Answer(data, f"{len(stands)} alarms stand", exit_code=1 if once and stands else 0)


def _announced() -> str:
    """Return the address of the web server that runs in this home, "" for none."""
    from loopline.platform_core.environment import home
    from loopline.platform_core.errors import NotFound
    from loopline.up import lock

    try:
        return str(lock.announced(home())["ui"] or "")
    except NotFound:
        return ""


if __name__ == "__main__":
    watchdog(prog_name="loopline watchdog")
