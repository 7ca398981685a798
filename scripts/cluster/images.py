"""The images of the tests: one that holds a pod open, and one with our real package, as ``pip install`` has it.

Layers that change seldom (interpreter, dependencies) are kept in the cache; the package itself is built each time.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

from scripts.cluster import python_layer
from scripts.cluster.node import PAUSE
from scripts.cluster.oci import Image, write_image, write_layer
from scripts.cluster.settings import HERE, cache

ROOT = HERE.parents[1]
NAME = "loopline.local/loopline:1"
SITE = "/opt/loopline/site-packages"
_OURS = {"loopline", "loopline-retail", "retail"}
_PAUSE = "#include <unistd.h>\nint main(void) { for (;;) pause(); }\n"


def pause_image(folder: Path) -> Path:
    """Make the image that holds a pod's namespaces open: a program that waits."""
    folder.joinpath("pause.c").write_text(_PAUSE)
    subprocess.run(["gcc", "-static", "-Os", "-s", "-o", "pause", "pause.c"], cwd=folder, check=True)
    layer = write_layer(folder / "pause-layer.tar", [(folder / "pause", "pause")])
    return write_image(folder / "pause.tar", Image(PAUSE, (layer,), ("/pause",)))


def loopline_image(folder: Path, more: Iterable[str] = (), teams: Iterable[Path] = ()) -> Path:
    """Make the image with our package, its dependencies and ``more`` distributions of this environment.

    ``teams`` are folders of teams' packages, installed beside it.
    """
    layers = (_kept_layer("python", python_layer.files(folder)), _dependencies(more), _own(folder, teams))
    environment = {
        "PATH": "/usr/bin",
        "PYTHONPATH": SITE,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "HOME": "/tmp",
    }
    entrypoint = (str(python_layer.interpreter()), "-m", "loopline.cli")
    return write_image(folder / "loopline.tar", Image(NAME, layers, entrypoint, environment=environment))


def closure(wanted: Iterable[str], left_out: Iterable[str] = ()) -> dict[str, Distribution]:
    """Return distributions of this environment and all that they need, by name; extras as in ``name[extra]``."""
    found: dict[str, Distribution] = {}
    waiting, seen = [Requirement(name) for name in wanted], set()
    while waiting:
        one = waiting.pop()
        name, extras = re.sub(r"[-_.]+", "-", one.name).lower(), frozenset(one.extras)
        if (name, extras) in seen or name in left_out:
            continue
        seen.add((name, extras))
        found[name] = distribution(name)
        waiting += [need for need in map(Requirement, found[name].requires or ()) if _applies(need, extras)]
    return found


def _applies(need: Requirement, extras: frozenset[str]) -> bool:
    return need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras | {""})


def _dependencies(more: Iterable[str]) -> Path:
    found = closure(("loopline", *more))
    key = "\n".join(f"{name} {one.version}" for name, one in sorted(found.items()) if name not in _OURS)
    return _kept_layer(f"packages\n{key}", _files([one for name, one in found.items() if name not in _OURS]))


def _files(distributions: Iterable[Distribution]) -> Iterator[tuple[Path, str]]:
    """Give a distribution's files in its site folder, with what is compiled of them."""
    for one in distributions:
        for file in one.files or ():
            path = Path(str(one.locate_file(file)))
            if ".." in file.parts or file.suffix == ".pyc" or not path.exists():
                continue
            yield path, f"{SITE}/{file}"
            compiled = path.parent / "__pycache__" / f"{path.stem}.{sys.implementation.cache_tag}.pyc"
            if path.suffix == ".py" and compiled.exists():
                yield compiled, f"{SITE}/{file.parent}/__pycache__/{compiled.name}"


def _kept_layer(key: str, files: Iterable[tuple[Path, str]]) -> Path:
    """Return a layer from the cache, made if it is not there; a layer with another key is another file."""
    name = hashlib.sha256(f"{key}\n{sys.version}\n{python_layer.interpreter()}".encode()).hexdigest()[:16]
    target = cache() / "layers" / f"{key.split(maxsplit=1)[0]}-{name}.tar"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        part = write_layer(target.with_suffix(f".{os.getpid()}"), files)
        part.rename(target)
    return target


def _own(folder: Path, teams: Iterable[Path]) -> Path:
    """Build our wheel, and the teams', as a release does, and install them into a folder of their own."""
    site = folder / "site"
    offline = ("--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--quiet")
    command = [sys.executable, "-m", "pip", "install", *offline, "--target", str(site), str(ROOT), *map(str, teams)]
    subprocess.run(command, check=True, capture_output=True)
    return write_layer(folder / "own-layer.tar", [(site, SITE)])
