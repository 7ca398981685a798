"""Git worktree for a template update: its changes come back as one, or not at all."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loopline.platform_core.errors import Refused
from loopline.templates.repositories import IDENTITY


@contextmanager
def apart(folder: Path) -> Iterator[Path]:
    """Give a copy of a project's folder; its changes are brought to the folder at the end, unless an error is raised.

    Raises:
        Refused: Git does not know the folder, or it has changes that are not committed.
    """
    top = _top(folder)
    if _git(folder, "status", "--porcelain", "--", "."):
        raise Refused(f"{folder} is dirty: it has changes that are not committed", "commit them, then run it again")
    began = _git(top, "rev-parse", "HEAD").strip()
    with tempfile.TemporaryDirectory() as made:
        tree = Path(made) / "tree"
        _git(top, "worktree", "add", "--quiet", "--detach", str(tree))
        try:
            yield tree / folder.resolve().relative_to(top)
            _git(tree, "add", "--all")
            change = _git(tree, "diff", "--cached", "--binary", began)
            if change:
                _git(top, "apply", "--whitespace=nowarn", said=change)
        finally:
            _git(top, "worktree", "remove", "--force", str(tree))


def commit(copy: Path) -> None:
    """Commit all of a copy, so that the next step finds it clean."""
    _git(copy, "add", "--all")
    _git(copy, "commit", "--quiet", "--no-verify", "--allow-empty", "--message", "updated")


def _top(folder: Path) -> Path:
    try:
        return Path(_git(folder, "rev-parse", "--show-toplevel").strip())
    except subprocess.CalledProcessError as error:
        raise Refused(f"{folder} is not in Git", "commit it: an update is a change to be seen and undone") from error


def _git(folder: Path, *arguments: str, said: str | None = None) -> str:
    done = subprocess.run(  # noqa: S603 - our own arguments
        ["git", *arguments],  # noqa: S607 - wherever Git is
        cwd=folder,
        env={**os.environ, **IDENTITY},
        input=said,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout
