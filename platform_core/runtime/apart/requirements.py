"""Python requirements of an isolated model: installed once into a folder shared by models that need the same."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from loopline.platform_core.errors import Transient, Unsupported

FOLDER = "LOOPLINE_APART"
"""Names the folder where libraries are installed; where it is not set, nothing is."""
_DONE = ".done"


def path_of(needs: Sequence[str]) -> list[str]:
    """Return where a model's process looks for modules: in a folder of its own first, then where this process does.

    Raises:
        Unsupported: something is missing here, and nothing may be installed. Transient: installing it failed.
    """
    own = [place for place in sys.path if place]
    missing = [one for one in needs if not _is_there(one)]
    if not missing:
        return own
    root = os.environ.get(FOLDER)
    if not root:
        raise Unsupported(
            f"the model needs {', '.join(missing)}, which this Python does not have",
            f"put it into the server's image, or name a folder by {FOLDER} where it may be installed",
        )
    return [str(_installed(Path(root), needs)), *own]


def _is_there(need: str) -> bool:
    """Say whether a distribution is installed in a version that a requirement takes.

    Raises:
        Unsupported: what is written is no requirement.
    """
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        wanted = Requirement(need)
    except InvalidRequirement as error:
        raise Unsupported(
            f"{need!r} is no requirement: {error}", "write it as pip reads it, such as torch>=2.4"
        ) from error
    if wanted.url or (wanted.marker and not wanted.marker.evaluate()):
        return not wanted.url
    try:
        return wanted.specifier.contains(metadata.version(wanted.name), prereleases=True)
    except metadata.PackageNotFoundError:
        return False


def _installed(root: Path, needs: Sequence[str]) -> Path:
    """Install all that a model needs into a folder named by that, once; others wait for it.

    Raises:
        Transient: it did not work; nothing is left.
    """
    named = "\n".join([sys.version, *sorted(needs)])
    target = root / hashlib.sha256(named.encode()).hexdigest()[:16]
    root.mkdir(parents=True, exist_ok=True)
    with root.joinpath(f"{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.joinpath(_DONE).exists():
            return target
        shutil.rmtree(target, ignore_errors=True)  # what somebody left who was killed
        command = [*_installer(), "--target", str(target), *needs]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - the package's own
        if done.returncode:
            shutil.rmtree(target, ignore_errors=True)
            said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
            raise Transient(
                f"{', '.join(needs)} cannot be installed: {said}", "let the server reach an index, or mend it"
            )
        target.joinpath(_DONE).touch()
    return target


def _installer() -> list[str]:
    """Name what installs: uv, or pip.

    Raises:
        Unsupported: there is neither.
    """
    beside = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if beside:
        return [beside, "pip", "install", "--quiet", "--python", sys.executable]
    if find_spec("pip"):
        return [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    raise Unsupported("there is neither uv nor pip here", "put the libraries into the server's image")
