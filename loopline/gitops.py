"""Git commits for promotion requests: a branch with one commit, without touching what the clone has checked out."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loopline.platform_core.errors import NotFound, Refused, StoreUnavailable
from loopline.platform_core.foundation.files import write
from loopline.platform_core.loop.deployments.promotion_requests import KUSTOMIZATION

REMOTE = "origin"
_SECONDS = 60
_HOSTS = (
    (re.compile(r"(^|\.)github\."), "https://{host}/{path}/compare/{branch}?expand=1"),
    (re.compile(r"(^|\.)gitlab\."), "https://{host}/{path}/-/merge_requests/new?merge_request[source_branch]={branch}"),
)
_ADDRESS = re.compile(
    r"^(?:(?:https?|ssh|git)://(?:[^@/]*@)?(?P<host>[^/:]+)(?::\d+)?/|(?:[^@/]+@)(?P<scp>[^:/]+):)(?P<path>.+)$"
)


@dataclass(frozen=True)
class Change:
    """What was committed in which clone, and the page that opens a pull request, "" where none is known.

    ``unlisted`` is the kustomization beside the file that does not name it, "" for none.
    """

    clone: Path
    branch: str
    commit: str
    base: str
    page: str
    unlisted: str = ""


def propose(folder: Path, file: Path, text: str, branch: str, message: str) -> Change:
    """Commit a file of a folder of a clone on a new branch; what is checked out there stays as it is.

    Proposed again while it is not merged, it is the same change.

    Raises:
        Refused: the folder is in no clone, the base says so already, or the branch holds something else. NotFound: no
        Git, or nothing was ever committed.
    """
    top = _top(folder)
    base = _base(top)
    inside = folder.resolve().relative_to(top) / file
    if _shown(top, base, inside) == text:
        raise Refused(f"{inside} says so on {base} already", "nothing must be merged; or give another reason")
    ref = f"refs/heads/{branch}"
    if _git_output(top, "rev-parse", "--verify", "--quiet", ref):
        if _shown(top, branch, inside) != text:
            raise Refused(f"branch {branch} is there and says otherwise", f"delete it with 'git branch -D {branch}'")
    else:
        with _tree(top, base) as tree:
            (tree / inside).parent.mkdir(parents=True, exist_ok=True)
            write(tree / inside, text.encode())
            _git(tree, "add", "--", str(inside))
            _git(tree, "commit", "--quiet", "--message", message)
            _git(tree, "update-ref", ref, "HEAD", "")
    commit = _git(top, "rev-parse", ref).strip()
    return Change(top, branch, commit, base, _page(top, branch), _unlisted(top, commit, inside))


def push(folder: Path, branch: str) -> None:
    """Bring a branch to where the clone came from.

    Raises:
        Refused: there is no such place, or it took it not.
    """
    top = _top(folder)
    if not _git_output(top, "remote", "get-url", REMOTE):
        raise Refused(f"{top} has no remote {REMOTE!r}", f"add it with 'git remote add {REMOTE} <address>'")
    _git(top, "push", "--quiet", REMOTE, f"refs/heads/{branch}:refs/heads/{branch}")


def _top(folder: Path) -> Path:
    """Return the clone's top folder; the folder of promotions itself may not be there yet."""
    there = next(parent for parent in (folder.resolve(), *folder.resolve().parents) if parent.is_dir())
    found = _git_output(there, "rev-parse", "--show-toplevel")
    if not found:
        raise Refused(f"{folder} is not in a Git clone", "clone the GitOps repository, and name a folder in it")
    return Path(found)


def _base(top: Path) -> str:
    """Return what pull requests go to: the remote's own branch, else what is checked out."""
    for ref in (f"{REMOTE}/HEAD", f"{REMOTE}/main", "HEAD"):
        if _git_output(top, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}"):
            return _git_output(top, "rev-parse", "--abbrev-ref", ref) or ref
    raise NotFound(f"nothing was ever committed in {top}", "commit the repository's first files")


@contextmanager
def _tree(top: Path, base: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as made:
        tree = Path(made) / "tree"
        _git(top, "worktree", "add", "--quiet", "--detach", str(tree), base)
        try:
            yield tree
        finally:
            _git(top, "worktree", "remove", "--force", str(tree))


def _shown(top: Path, ref: str, file: Path) -> str | None:
    done = _run(top, "show", f"{ref}:{file.as_posix()}")
    return done.stdout if done.returncode == 0 else None


def _unlisted(top: Path, commit: str, file: Path) -> str:
    beside = file.with_name(KUSTOMIZATION)
    text = _shown(top, commit, beside)
    is_named = text is None or re.search(rf"(?<![\w.-]){re.escape(file.name)}(?![\w.-])", text)
    return "" if is_named else str(beside)


def _page(top: Path, branch: str) -> str:
    """Return the page on which a pull request of a branch is opened; no name or password of an address is in it."""
    address = _ADDRESS.match(_git_output(top, "remote", "get-url", REMOTE))
    if address is None:
        return ""
    host, path = address["host"] or address["scp"], address["path"].removesuffix("/").removesuffix(".git")
    pages = (page for pattern, page in _HOSTS if pattern.search(host))
    return next((page.format(host=host, path=path, branch=branch) for page in pages), "")


def _git_output(folder: Path, *arguments: str) -> str:
    """Return what Git says, "" where it says no."""
    done = _run(folder, *arguments)
    return done.stdout.strip() if done.returncode == 0 else ""


def _git(folder: Path, *arguments: str) -> str:
    done = _run(folder, *arguments)
    if done.returncode:
        said = next(iter(reversed(done.stderr.strip().splitlines())), f"exit code {done.returncode}")
        raise Refused(f"git {arguments[0]} in {folder}: {said}", "do what Git says, then run the command again")
    return done.stdout


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - our own arguments
            ["git", *arguments],  # noqa: S607 - wherever Git is
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
    except FileNotFoundError as error:
        raise NotFound("a change is written with Git, which is not installed", "install git") from error
    except subprocess.TimeoutExpired as error:
        raise StoreUnavailable(f"git {arguments[0]} took more than {_SECONDS} s", "look at the remote") from error
