"""Command ``loopline drift link``: signed, expiring link to a drift page in an object store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from loopline.cli.command import Command
from loopline.cli.output import Answer
from loopline.cli.subject import live_version, opened, referenced

if TYPE_CHECKING:
    from loopline.platform_core.contracts.drift_report import DriftReport


@click.command("link", cls=Command)
@click.argument("model")
@click.option("--version", help="A model version; the live one when left out.")
def link(model: str, version: str | None) -> Answer:
    """Sign a link to MODEL's newest page, and one to its figures; where none can be signed, say where it is read."""
    from loopline.platform_core.errors import Unsupported

    with opened(only=("drift_report",)) as platform:
        ref = referenced(platform, model)
        number = version or live_version(platform, ref)
        report = platform.drift_report
        name = _newest(report, ref.dotted, number)
        data = {"model": ref, "version": number, "page": f"/reports/{ref.dotted}/{name}"}
        try:
            links = {kind: report.link(ref.dotted, Path(name).stem + kind) for kind in (".html", ".json")}
        except Unsupported as error:
            said = f"{error.problem} → {error.fix}"
            return Answer(data | {"link": "", "figures": "", "why": said}, f"{said}\nin the portal: {data['page']}")
    return Answer(data | {"link": links[".html"], "figures": links[".json"], "why": ""}, links[".html"])


def _newest(report: DriftReport, model: str, version: str) -> str:
    """Return the name of a version's newest page in the store.

    Raises:
        NotFound: none is kept.
    """
    from loopline.platform_core.errors import NotFound

    numbers = [name[len(version) + 1 : -len(".html")] for name in report.kept(model) if name.startswith(f"{version}-")]
    found = [int(number) for number in numbers if number.isdecimal()]
    if not found:
        raise NotFound(
            f"no page of {model} version {version} is kept in an object store",
            "name a store for drift_report in the environment file; pages are drawn with alarms",
        )
    return f"{version}-{max(found)}.html"
