"""Draws a drift page in a subprocess, because drawing libraries load slowly and take memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from loopline.platform_core import worker
from loopline.platform_core.errors import Unsupported
from loopline.platform_core.monitor.drift.drift import report
from loopline.platform_core.tasks import opened

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model, Team

DRAW = "loopline.platform_core.monitor.drift.task:draw"


def drawn(platform: Platform, team: Team, model: Model) -> Path | None:
    """Have the newest judged window of the live version drawn on this machine; None while no window was judged.

    It is no task of the environment's compute: a few seconds of work want no Job of a cluster and no managed machine.

    Raises:
        Unsupported: nothing that draws is installed. Transient: the process was killed. TaskFailed: drawing raised.
    """
    args = {"environment": str(platform.environment.path), "team": team.name, "model": model.name}
    with TemporaryDirectory(prefix="loopline-page-") as name:
        folder = Path(name)
        worker.assign(folder, DRAW, args)
        with folder.joinpath(worker.LOG).open("wb") as log:
            command = [sys.executable, "-m", "loopline.platform_core.worker", name]
            subprocess.run(command, stdout=log, stderr=log, check=False)  # noqa: S603 - a module of ours
        answer: dict[str, Any] = worker.answer(folder)
    if "problem" in answer:
        raise Unsupported(answer["problem"], answer["fix"])
    return Path(answer["page"]) if answer["page"] else None


def draw(environment: str, team: str, model: str) -> dict[str, str]:
    """Draw it, and return where the page is, "" while no window was judged.

    That nothing draws is an answer, with problem and fix: of an error only its text would come back from a process.
    """
    with opened(environment, team) as (platform, owner):
        try:
            page = report(platform, owner, owner.model(model))
        except Unsupported as error:
            return {"problem": error.problem, "fix": error.fix}
        return {"page": str(page.absolute()) if page else ""}
