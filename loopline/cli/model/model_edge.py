"""Command ``loopline model export-edge``: writes a model as ONNX with a scoring script."""

from __future__ import annotations

from pathlib import Path

import click

from loopline.cli.command import Command, progress
from loopline.cli.output import Answer
from loopline.cli.subject import declared, live_version, opened


@click.command("export-edge", cls=Command)
@click.argument("name", metavar="MODEL")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--version", help="A registered version; the one that is live when left out.")
def export_edge(name: str, folder: Path, version: str | None) -> Answer:
    """Write MODEL into DIR as an ONNX file, a list of its features, and a script that scores with numpy alone.

    The rows that the version was trained on are scored both ways first: a model that would answer otherwise on a device
    is not written.
    """
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.loop.deployments.packages import fetched
    from loopline.platform_core.scoring.edge import export
    from loopline.platform_core.signing.signer import signer
    from loopline.platform_core.training.offline import training_rows

    team, model = declared(name)
    ref = ModelRef(team.name, model.name)
    with opened(only=("lake", "engine", "registry")) as platform, progress("comparing both forms"):
        wanted = version or live_version(platform, ref)
        _, sample = training_rows(platform, team, model, wanted)
        proof, signs = platform.proof(ref, wanted), signer(platform.environment)
        done = export(fetched(platform, ref, wanted), wanted, sample, folder, proof, signs)
    data = {"model": ref, "version": wanted, "folder": str(folder), "rows": done.rows, "differ": done.max_difference}
    said = (
        f"{ref} version {wanted} is in {folder}: {done.rows} training rows differ by {done.max_difference:.2g} at most"
    )
    return Answer(data, said)
