"""Draws a drift page where the environment computes: the libraries that draw take seconds to load."""

from __future__ import annotations

import base64
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.platform_core.environment import carried
from loopline.platform_core.errors import ContractBroken, Unsupported
from loopline.platform_core.foundation.files import write
from loopline.platform_core.monitor.drift import report
from loopline.platform_core.specs.model import Requirements
from loopline.platform_core.tasks import opened

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model, Team

DRAW = "loopline.platform_core.monitor.task:draw"
MOST_PAGE_BYTES = 2_900_000
"""Of a page, compressed: as an answer it is a third longer, and the smallest that a compute vendor carries is 4 MB."""


def drawn(platform: Platform, team: Team, model: Model, key: str) -> Path | None:
    """Have the newest judged window of the live version drawn; ``key`` names the window.

    The page comes back as the task's answer, and is kept in this installation's home: where it was drawn may be a
    machine that is gone by then.

    Raises:
        Unsupported: nothing that draws is installed where the environment computes, or the page is too large.
    """
    args = {"environment": carried(platform.environment.path), "team": team.name, "model": model.name}
    answer = platform.compute.run(DRAW, args, Requirements(), key)
    if answer is None:
        return None
    if "problem" in answer:
        raise Unsupported(str(answer["problem"]), str(answer["fix"]))
    return _report_file(platform.home, answer)


def _report_file(home: Path, answer: dict[str, Any]) -> Path:
    page = home.joinpath(str(answer["name"])).resolve()
    if not page.is_relative_to(home.resolve()) or page.suffix != ".html":
        raise ContractBroken(f"a drift page is named {answer['name']!r}", "name pages below the home, with .html")
    page.parent.mkdir(parents=True, exist_ok=True)
    write(page, zlib.decompress(base64.b64decode(answer["page"])))
    return page


def draw(environment: str | dict[str, str], team: str, model: str) -> dict[str, str] | None:
    """Draw it, and return the page and its name; None while no window was judged; ``environment`` as in ``train``.

    That nothing draws is an answer, with problem and fix: of an error only its text would come back from a process.
    """
    with opened(environment, team) as (platform, owner):
        try:
            page = report(platform, owner, owner.model(model))
        except Unsupported as error:
            return {"problem": error.problem, "fix": error.fix}
        return None if page is None else _packed(page, platform.home)


def _packed(page: Path, home: Path) -> dict[str, str]:
    """Write a page as an answer; one that is too large for any carrier is told as a page that cannot be drawn."""
    packed = zlib.compress(page.read_bytes(), 9)
    if len(packed) > MOST_PAGE_BYTES:
        problem = f"the drift page {page.name} takes {len(packed)} bytes compressed, {MOST_PAGE_BYTES} come back"
        return {"problem": problem, "fix": "let the model have fewer features, or look at them with 'loopline drift'"}
    return {"name": page.relative_to(home).as_posix(), "page": base64.b64encode(packed).decode()}
