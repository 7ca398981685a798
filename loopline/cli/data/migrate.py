"""Command ``loopline migrate``: moves lake, stored pages, registry, ledger and online rows to another environment."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loopline.cli.command import Command, progress
from loopline.cli.output import Answer, table

if TYPE_CHECKING:
    from loopline.platform_core.migration.figures import Moved
    from loopline.platform_core.platform import Platform

STAYS = (
    "Dagster's run history and its sensors' cursors: sensors find in lake and ledger what is done",
    "files that have not landed: deliver them where the target looks for arrivals; pages that were taken came along",
    "a stream's records: the lake says how far each topic was read, so bind the same topics, or name new ones",
    "the servers' states and API keys, drift report pages, and what else lies in the source's home",
)
"""What a move leaves behind, and what takes its place."""


@click.command("migrate", cls=Command)
@click.option("--from", "source", required=True, metavar="FILE", help="Environment file of what is to move.")
@click.option("--to", "target", required=True, metavar="FILE", help="Environment file of the place to which it goes.")
@click.option("--to-home", metavar="FOLDER", help="LOOPLINE_HOME of the target [the source's].")
@click.option("--dry-run", is_flag=True, help="Only say what there is, how much of it, and what is in the way.")
def migrate(source: str, target: str, to_home: str | None, dry_run: bool) -> Answer:
    """Copy lake, taken pages, registry, ledger and online rows from one environment to another; compare them there.

    Nothing is changed at the source, which must not be at work meanwhile. Run it again after whatever broke it off:
    what is there is compared and passed over. What of it does not move is told in the end.
    """
    from loopline.platform_core import plugins
    from loopline.platform_core.migration.move import Move

    with contextlib.ExitStack() as stack:
        both = _opened(stack, Path(source).absolute(), Path(target).absolute(), to_home, still=not dry_run)
        update = stack.enter_context(progress("looking"))
        move = Move(*both, plugins.installed().teams, lambda what: update(f"copying {what}"))
        moved = move.count() if dry_run else move.run()
    return _answer(moved, both[1], dry_run=dry_run)


def _opened(
    stack: contextlib.ExitStack, source: Path, target: Path, to_home: str | None, *, still: bool
) -> tuple[Platform, Platform]:
    """Open both; with ``still`` nobody can start the platform in either home meanwhile."""
    from loopline.platform_core import environment
    from loopline.platform_core.platform import Platform
    from loopline.up import lock

    stores = ("lake", "online_store", "registry", "event_source")
    here = environment.read(source, (*stores, "serving"))
    with _home(to_home):
        there = environment.read(target, stores)
    if still:
        for home in sorted({here.home, there.home}):
            stack.enter_context(lock.only_one(home))
    platforms = Platform(here), Platform(there)
    for platform in platforms:
        stack.callback(platform.close)
    return platforms


@contextlib.contextmanager
def _home(folder: str | None) -> Iterator[None]:
    """Let ``LOOPLINE_HOME`` be another folder for a while."""
    from loopline.platform_core.environment import HOME

    before = os.environ.get(HOME)
    try:
        if folder:
            os.environ[HOME] = str(Path(folder).absolute())
        yield
    finally:
        os.environ.pop(HOME, None)
        if before is not None:
            os.environ[HOME] = before


def _answer(moved: Moved, target: Platform, *, dry_run: bool) -> Answer:
    problems = [*moved.in_the_way, *_differing(moved)]
    after = [] if dry_run or problems else _next(target)
    data = {"dry_run": dry_run, "moved": moved, "problems": problems, "stays": STAYS, "next": after}
    parts = [_text(moved, dry_run=dry_run), "stays behind:", *(f"  {each}" for each in STAYS)]
    parts += [f"online without a team that declares it: {each}" for each in moved.without_team]
    parts += [
        *(f"in the way: {each}" for each in problems),
        *(["next:", *(f"  {each}" for each in after)] if after else []),
    ]
    return Answer(data, "\n".join(parts), exit_code=1 if problems else 0)


def _differing(moved: Moved) -> list[str]:
    return [
        f"{view.differing} of {view.keys} entities of {view.view}, such as {view.example}, have another row online at "
        f"the source than the lake → the target holds what the lake does; 'loopline features refill {view.view}' at "
        "the source, and run it again to see that they agree"
        for view in moved.views
        if view.differing
    ]


def _next(target: Platform) -> list[str]:
    where = f"--home {target.home} --environment {target.environment.path}"
    return [f"loopline validate {where}", f"loopline up {where}", "when it answers as it should, let the source go"]


def _text(moved: Moved, *, dry_run: bool) -> str:
    done = "to copy" if dry_run else "copied"
    tables = [
        (t.table, t.newest, t.files, t.bytes, t.copied_files, t.copied_bytes, _numbers(t.pinned), _numbers(t.lost))
        for t in moved.tables
    ]
    header = ("table", "newest version", "files", "bytes", f"files {done}", f"bytes {done}", "pinned", "lost before")
    models = [
        (m.model, m.versions, m.copied, ", ".join(f"{a}={v}" for a, v in m.aliases.items())) for m in moved.models
    ]
    views = [(v.view, v.keys, "-" if dry_run else v.differing) for v in moved.views]
    ledger = [(r.table, r.rows, r.copied, r.sha256[:12]) for r in moved.ledger]
    found = (
        (tables, header),
        (models, ("model", "versions", done, "aliases")),
        (ledger, ("ledger table", "rows", done, "sha256")),
        (views, ("view online", "entities", "differing")),
    )
    return "\n\n".join(table(rows, columns) for rows, columns in found if rows) + "\n"


def _numbers(versions: tuple[int, ...]) -> str:
    return ", ".join(map(str, versions))
