"""Commands ``loopline pod``: entry points of the containers of a Kubernetes installation."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import click

from loopline.cli.command import Command
from loopline.cli.lazy import LazyGroup
from loopline.pod import WORKSPACE

_MODULE = "loopline.cli.installation.pod"
pod = LazyGroup(
    "pod",
    {
        "code-server": (f"{_MODULE}:code_server", "A team's code location, whose light runs are processes beside it."),
        "web-server": (f"{_MODULE}:web_server", "Dagster's pages and GraphQL; as many as you like."),
        "daemon": (f"{_MODULE}:daemon", "Sensors, schedules and the run queue; of several, the elected leader works."),
        "run": (f"{_MODULE}:run", "A run of a team whose runs are pods; the launcher starts it."),
        "prepare": (f"{_MODULE}:prepare", "Make Dagster's tables, which every other one does if need be."),
    },
    "Entry points of the containers of a Kubernetes installation: Dagster's processes, which share PostgreSQL.",
)
_ANYWHERE = "0.0.0.0"  # noqa: S104 - a pod listens where its Service finds it
_workspace = click.option(
    "--workspace",
    default=WORKSPACE,
    show_default=True,
    envvar="LOOPLINE_WORKSPACE",
    help="Dagster's file of code locations; what changes in it is followed.",
)


@click.command("code-server", cls=Command)
@click.argument("team")
@click.option("--port", default=4000, show_default=True, help="Where to listen, for gRPC.")
def code_server(team: str, port: int) -> NoReturn:
    """Serve a team's definitions ('loopline' for the platform's own); run one a team, never two at once.

    Told to stop, it takes no new run and ends when those in it have; runs of one that was killed are ended by the next.
    """
    where = ("--host", _ANYWHERE, "--port", str(port))
    how = ("--lazy-load-user-code", "--use-python-environment-entry-point")
    _become("loopline.asset_defs.code_server", team, *where, *how)


@click.command("web-server", cls=Command)
@click.option("--port", default=3000, show_default=True, help="Where to listen.")
@click.option("--open", "anyway", is_flag=True, help="Serve though nobody signs in: something else keeps others out.")
@_workspace
def web_server(port: int, workspace: str, anyway: bool) -> NoReturn:
    """Serve Dagster's pages and GraphQL behind our guard, for the names in LOOPLINE_HOSTS.

    Where the environment file says nothing of signing in, whoever reaches it may do everything: it wants --open then.
    """
    if anyway:
        from loopline.sign_in import open as open_to

        os.environ[open_to.VARIABLE] = "1"
    where = ("--host", _ANYWHERE, "--port", str(port))
    _become("loopline.pod.web_server", *where, "--workspace", workspace)


@click.command("daemon", cls=Command)
@_workspace
def daemon(workspace: str) -> NoReturn:
    """Run sensors, schedules and the queue while this one holds the lease in Dagster's database; else wait for it."""
    _become("loopline.pod.daemon", "--workspace", workspace)


@click.command("run", cls=Command, context_settings={"allow_interspersed_args": False})
@click.argument("command", nargs=-1, type=click.UNPROCESSED, required=True)
def run(command: tuple[str, ...]) -> NoReturn:
    """Execute a run, or a step of one, as Dagster's COMMAND says; Python and settings are this pod's own.

    'dagster.run_pods' of the environment file names the teams whose runs are pods.
    """
    if "api" not in command:
        raise click.UsageError("COMMAND is none of Dagster's: let the launcher start the pod")
    _become("dagster", *command[command.index("api") :])


@click.command("prepare", cls=Command)
def prepare() -> None:
    """Make Dagster's tables and the ledger's, or bring them up to date; done before, it asks and ends."""
    from loopline.platform_core.platform import Platform

    new = _prepare()
    platform = Platform.open()
    _ = platform.ledger  # its migrations run here
    platform.close()
    click.echo("tables are made" if new else "tables were made before", err=True)


def _prepare() -> bool:
    from loopline.pod import instance, settings

    found = settings.of_environment()
    instance.write(found)
    return instance.prepare(found)


def _become(module: str, *arguments: str) -> NoReturn:
    """Become a program of ours, which hears the pod's signals itself."""
    _prepare()
    quiet = {"PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore", "GIT_PYTHON_REFRESH": "quiet"}
    os.environ.update({name: os.environ.get(name, value) for name, value in quiet.items()})
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606 - our own modules
