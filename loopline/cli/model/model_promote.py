"""Command ``loopline model promote``: starts a version's rollout, at once or by a promotion request in Git."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from loopline.cli.command import Command, progress
from loopline.cli.output import Answer
from loopline.cli.subject import declared, opened, person, referenced

if TYPE_CHECKING:
    from loopline.gitops import Change
    from loopline.platform_core.loop.deployments.promotion_requests import Wish
    from loopline.platform_core.platform import Platform


@click.command("promote", cls=Command)
@click.argument("name", metavar="MODEL")
@click.option("--version", required=True, help="Which version shall be live.")
@click.option("--reason", required=True, help="Why; kept in the ledger, and in the commit.")
@click.option("--by", metavar="NAME", help="Who; you when left out.")
@click.option("--hold", is_flag=True, help="Keep its rollout where it is.")
@click.option(
    "--via", type=click.Choice(["ledger", "git"]), default="ledger", show_default=True, help="Do it, or write it."
)
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="LOOPLINE_PROMOTIONS",
    help="With --via git: the folder of promotions in a clone of the GitOps repository.",
)
@click.option("--push", is_flag=True, help="With --via git: push the branch.")
def promote(  # noqa: PLR0913, PLR0917 - what, which, why, who, and the way
    name: str, version: str, reason: str, by: str | None, via: Literal["ledger", "git"], into: Path | None, **how: bool
) -> Answer:
    """Let a version of MODEL that passed its gates be rolled out; a version before is returned to, as by a rollback.

    With `--via git` nothing is done: the change is committed on a branch of the GitOps repository, for a pull request.
    What is merged there is carried out by the platform, once, by the same gates, rollout and judges.
    """
    with opened(only=()) if via == "git" else opened() as platform, progress("promoting"):
        wished = _wish(platform, name, version, person(by), reason, hold=how["hold"])
        if via == "ledger":
            return _now(platform, wished)
        return _written(platform, wished, into, push=how["push"])


def _wish(platform: Platform, name: str, version: str, by: str, reason: str, *, hold: bool) -> Wish:  # noqa: PLR0913
    from loopline.platform_core.loop.deployments import promotion_requests
    from loopline.platform_core.loop.freezes import signed

    signed(by, reason, "a promotion")
    ref = referenced(platform, name)
    text = promotion_requests.text_of(ref, version, by, reason, hold=hold)
    return promotion_requests.Wish(ref, version, by, reason, hold, promotion_requests.digest(text))


def _now(platform: Platform, wished: Wish) -> Answer:
    from loopline.platform_core import promotions

    rule = platform.environment.promotions
    if rule is not None and rule.required:
        from loopline.platform_core.errors import Refused

        raise Refused("this environment promotes by merged changes only", "use --via git, and open a pull request")
    model = declared(str(wished.ref))[1]
    said = promotions.do(platform, model, wished, platform.clock.now())
    return Answer({"model": wished.ref, "version": wished.version, "done": said}, f"{wished.ref}: {said}")


def _written(platform: Platform, wished: Wish, into: Path | None, *, push: bool) -> Answer:
    from loopline import gitops
    from loopline.platform_core import promotions
    from loopline.platform_core.errors import InvalidSpec, LooplineError
    from loopline.platform_core.loop.deployments import promotion_requests

    if into is None:
        raise InvalidSpec("no folder of promotions is named", "name it with --into, or LOOPLINE_PROMOTIONS")
    ref = wished.ref
    text = promotion_requests.text_of(ref, wished.version, wished.by, wished.reason, hold=wished.hold)
    branch = f"promote/{ref.dotted}-{wished.version}-{wished.digest[:8]}"
    message = f"{ref}: version {wished.version}\n\n{wished.reason}\n\nLoopline-Wish: {wished.digest}\n"
    change = gitops.propose(into, promotion_requests.place(ref), text, branch, message)
    if push:
        gitops.push(into, branch)
    try:
        here = promotions.course(platform.ledger, wished).said
    except LooplineError as error:
        here = f"it could not be carried out now: {error.problem}"
    data = {"model": ref, "version": wished.version, "wish": wished.digest, "pushed": push, "here": here}
    data |= {"branch": branch, "commit": change.commit, "page": change.page, "unlisted": change.unlisted}
    return Answer(data, _next_steps(change, here, push))


def _next_steps(change: Change, here: str, pushed: bool) -> str:
    opens = f"open a pull request of it{f': {change.page}' if change.page else ''}"
    steps = opens if pushed else f"push it with 'git -C {change.clone} push -u origin {change.branch}', then {opens}"
    lines = [f"committed as {change.commit[:12]} on branch {change.branch}, from {change.base}", steps]
    if change.unlisted:
        lines.append(f"{change.unlisted} does not name the file: name it there, or no ConfigMap holds it")
    return "\n".join([*lines, f"by this ledger: {here}"])
