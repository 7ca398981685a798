"""Command ``loopline portal``: serves the portal alone."""

from __future__ import annotations

import click

from loopline.cli.command import Command


@click.command("portal", cls=Command)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", default=8790, show_default=True, help="Where to listen.")
@click.option("--name", "names", multiple=True, help="A name by which browsers ask, beside this machine's; * for any.")
@click.option("--dagster", default="", metavar="URL", help="Dagster's UI, for links.")
@click.option("--registry", default="", metavar="URL", help="The registry's UI, such as MLflow's, for links.")
@click.option("--inference", default="", metavar="URL", help="The inference server, for links.")
@click.option("--open", "anyway", is_flag=True, help="Listen beyond this machine though nobody signs in.")
def portal(  # noqa: PLR0913, PLR0917 - each is an option
    host: str, port: int, names: tuple[str, ...], dagster: str, registry: str, inference: str, anyway: bool
) -> None:
    """Serve the portal alone until Ctrl-C; 'loopline up' serves it with everything else.

    Where the environment file says nothing of signing in it listens on this machine only, unless told otherwise.
    """
    from loopline.portal import server

    click.echo(f"portal: http://{host}:{port}/", err=True)
    server.serve(host, port, names, anyway=anyway, dagster=dagster, registry=registry, inference=inference)
