"""Command ``loopline features serve``: runs the feature service."""

from __future__ import annotations

from pathlib import Path

import click

from loopline.cli.command import Command


@click.command("serve", cls=Command)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", default=8090, show_default=True, help="Where to listen.")
@click.option("--name", "names", multiple=True, help="A name by which it is asked, beside this machine's; * for any.")
@click.option("--keys", type=click.Path(path_type=Path), help="A file of API keys: only who shows one is answered.")
@click.option("--open", "anyway", is_flag=True, help="Listen beyond this machine though nobody signs in.")
def serve(host: str, port: int, names: tuple[str, ...], keys: Path | None, anyway: bool) -> None:
    """Serve the feature registry, online features and training sets over HTTP until Ctrl-C; see /docs there."""
    from loopline.features_api import server

    click.echo(f"features: http://{host}:{port}/docs", err=True)
    server.serve(host, port, names, keys, anyway=anyway)
