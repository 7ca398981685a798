"""Command ``loopline up``: starts every process of an installation on this machine."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import click

from loopline.cli.command import Call, Command, progress
from loopline.cli.output import Answer, table
from loopline.platform_core.foundation.signals import set_by_signals

if TYPE_CHECKING:
    from pathlib import Path

    from loopline.up.app import App
    from loopline.up.program import Event

_LOOKS_SECONDS = 2.0
QUIET = frozenset({"started", "ended"})
"""What goes as planned is not told."""


@click.command("up", cls=Command)
@click.option("--port", default=3000, show_default=True, help="Dagster's UI; the next free one when it is busy.")
@click.option("--no-web", is_flag=True, help="Run without the portal, Dagster's UI and GraphQL.")
@click.option("--registry-ui", is_flag=True, help="Serve the registry's own UI too, such as MLflow's on its database.")
@click.pass_obj
def up(call: Call, port: int, no_web: bool, registry_ui: bool) -> None:
    """Start everything on this machine: portal, Dagster's UI and daemon, inference server, feature service.

    Ctrl-C ends all of it in order; logs are in <home>/logs.
    """
    from loopline.up.running import Options, running
    from loopline.up.start import Stopped

    stop = threading.Event()
    with set_by_signals(stop), contextlib.suppress(Stopped), contextlib.ExitStack() as stack:
        with progress("starting Loopline") as update:
            options = Options(
                port=port, web=not no_web, registry_ui=registry_ui, report=partial(_show_event, update), stop=stop
            )
            app = stack.enter_context(running(options=options))
        call.show(Answer(app.facts(), welcome(app)))
        _wait(stop, app.platform.environment.path)
        click.echo("ending everything in order", err=True)


def _wait(stop: threading.Event, environment: Path) -> None:
    """Wait until somebody wants us to end, or the tenant whose this is is suspended."""
    from loopline.platform_core import suspension

    while not stop.wait(_LOOKS_SECONDS):
        if suspension.is_marked(environment):
            click.echo(f"{environment}: this tenant is suspended, and everything ends", err=True)
            return


def welcome(app: App) -> str:
    """Say what runs, and where."""
    rows = [
        ("portal", app.portal_url or "not started"),
        ("Dagster", app.ui_url or "not started"),
        *([("registry", app.registry_url)] if app.registry_url else []),
        ("inference server", app.endpoint or "elsewhere"),
        *([("gRPC", app.grpc_endpoint)] if app.grpc_endpoint else []),
        ("features", f"{app.features_url}/docs"),
        ("environment", f"{app.platform.environment.name} ({app.platform.environment.path})"),
        ("state and logs", app.home),
        ("sign-in", _sign_in(app)),
        ("teams", ", ".join(team for team in app.teams if team not in app.quarantined) or "none"),
        *((f"quarantined: {team}", reason) for team, reason in app.quarantined.items()),
    ]
    return f"Loopline is up after {app.seconds:.1f} s. Ctrl-C ends it.\n{table(rows)}"


def _sign_in(app: App) -> str:
    """Say how people prove who they are, or that nobody does."""
    from loopline.sign_in import open as open_to

    settings = app.platform.environment.sign_in
    if settings is None:
        return open_to.said()
    return f"at {settings.issuer}" if settings.issuer else f"by accounts in {settings.accounts}: 'loopline user add'"


def _show_event(update: Callable[[str], None], event: Event) -> None:
    update(str(event))
    if event.what not in QUIET:
        click.echo(str(event), err=True)
