"""Commands ``loopline gitops diff`` and ``apply``: promotion requests in Git against what is live."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from loopline.cli.command import Command
from loopline.cli.lazy import LazyGroup
from loopline.cli.output import Answer, table
from loopline.cli.subject import opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.promotions import Looked
    from loopline.platform_core.specs import Team

gitops = LazyGroup(
    "gitops",
    {
        "diff": ("loopline.cli.loop.gitops:diff", "Promotion requests in Git against what is live."),
        "apply": ("loopline.cli.loop.gitops:apply", "Carry out merged promotion requests, once each."),
    },
    "Promotion requests in Git: compare with what is live, apply.",
)
_FOLDER = click.argument("folder", metavar="[FOLDER]", required=False, type=click.Path(file_okay=False, path_type=Path))


@click.command("diff", cls=Command)
@_FOLDER
@click.option("--exit-code", is_flag=True, help="End with 1 where something differs.")
def diff(folder: Path | None, exit_code: bool) -> Answer:
    """Say of each file in FOLDER (that of the environment when left out) what it wishes, and what holds instead."""
    with opened(only=()) as platform:
        found = [one for team in _teams() for one in _looked(platform, team, folder)]
    rows = [(one.ref, one.wish.version if one.wish else None, *_state(one)) for one in found]
    differ = sum(state != "holds" for _, _, state, _ in rows)
    data = [dict(zip(("model", "version", "state", "said"), row, strict=True)) for row in rows]
    said = table(rows, ("model", "git says", "", "")) if rows else "Git says nothing of any model"
    return Answer({"models": data, "differ": differ}, said, exit_code=1 if exit_code and differ else 0)


@click.command("apply", cls=Command)
@_FOLDER
@click.option("--commit", default="", help="What the ledger names as the cause; that of the clone when left out.")
def apply(folder: Path | None, commit: str) -> Answer:
    """Carry out what the files in FOLDER wish, once each; the platform's own sensor does so where it runs.

    What cannot be carried out is an alarm, and is tried again the next time. Exit code 1 where there is any.
    """
    with opened() as platform:
        done = [line for team in _teams() for line in _carried_out(platform, team, folder, commit)]
    failed = [said for _, said, well in done if not well]
    lines = "\n".join(f"{ref}: {said}" for ref, said, _ in done) or "nothing new is wished"
    data = [{"model": ref, "said": said, "done": well} for ref, said, well in done]
    return Answer({"wishes": data}, lines, exit_code=1 if failed else 0)


def _teams() -> list[Team]:
    from loopline.platform_core import plugins

    return list(plugins.installed().teams)


def _looked(platform: Platform, team: Team, folder: Path | None) -> list[Looked]:
    from loopline.platform_core import promotions

    return promotions.look(platform, team, folder or promotions.folder(platform))


def _state(one: Looked) -> tuple[str, str]:
    if one.stand.error is not None:
        return "cannot be met", one.stand.error.problem
    if one.stand.due is not None:
        return "due", one.stand.due.said
    return ("differs", one.stand.differs) if one.stand.differs else ("holds", "")


def _carried_out(
    platform: Platform, team: Team, folder: Path | None, commit: str
) -> Iterator[tuple[ModelRef, str, bool]]:
    from loopline.platform_core import promotions
    from loopline.platform_core.errors import LooplineError
    from loopline.platform_core.loop.deployments import promotion_requests

    for one in _looked(platform, team, folder):
        if one.stand.error is not None:
            yield one.ref, one.stand.error.problem, False
        elif one.wish is not None and one.stand.due is not None:
            cause = commit or (promotion_requests.commit_of(one.wish.path) if one.wish.path else "")
            try:
                said = promotions.meet(platform, team.model(one.ref.model), one.wish, platform.clock.now(), cause)
            except LooplineError as error:
                yield one.ref, error.problem, False
            else:
                yield one.ref, said, True
    promotions.update_alarms(platform, team, _looked(platform, team, folder))
