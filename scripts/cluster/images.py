"""The images of the tests: one that holds a pod open, and one with our real package, as ``pip install`` has it.

What changes seldom (interpreter, dependencies) is unpacked once and kept; the package itself is built each time.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

from scripts.cluster import python_layer, seed
from scripts.cluster.node import PAUSE
from scripts.cluster.oci import Image, write_image, write_layer
from scripts.cluster.settings import HERE

ROOT = HERE.parents[1]
NAME = "loopline.local/loopline:1"
SITE = "/opt/loopline/site-packages"
WANTED = ("loopline[dagster-k8s,kubernetes,object-store,grpc,postgres,redis]", "pytest")
"""What is in it: the base install with what a Job needs, and what the kits' tasks import."""
TEAMS = (ROOT / "plugins" / "retail",)
_OURS = {"loopline", "loopline-retail", "retail"}
_LOOPLINE = Image(
    NAME,
    (),
    (str(python_layer.interpreter()), "-m", "loopline.cli"),
    environment={
        "PATH": "/usr/bin",
        "PYTHONPATH": SITE,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "HOME": "/tmp",
    },
)
_PAUSE = "#include <unistd.h>\nint main(void) { for (;;) pause(); }\n"


@dataclass(frozen=True)
class Images:
    """What a cluster's node knows: containerd's folder with what changes seldom, and archives to import."""

    seed: Path
    archives: tuple[Path, ...] = ()


def only_pause() -> Images:
    """Return what a cluster needs that runs no pod of ours."""
    return Images(seed.kept("pause", _PAUSE, lambda scratch: [_pause(scratch)]))


def with_loopline(folder: Path) -> Images:
    """Return the same with the image ``NAME``: our package, its dependencies, and the teams' packages.

    Interpreter and dependencies come from the cache; our package is built and installed as a release is.
    """
    seeded = base()
    below = tuple((digest, size) for digest, size in json.loads((seeded / seed.LAYERS).read_text()))
    image = replace(_LOOPLINE, layers=(_own(folder),), below=below)
    return Images(seeded, (write_image(folder / "loopline.tar", image),))


def with_team(folder: Path, images: Images, team: str, source: Path) -> Images:
    """Return images with one more, a team's own: ours with the team's package on it, built as a release is."""
    below = tuple((digest, size) for digest, size in json.loads((images.seed / seed.LAYERS).read_text()))
    layer = _installed(folder / f"{team}-site", folder / f"{team}-layer.tar", source)
    image = replace(_LOOPLINE, name=image_of(team), layers=(folder / "own-layer.tar", layer), below=below)
    return replace(images, archives=(*images.archives, write_image(folder / f"{team}.tar", image)))


def image_of(team: str) -> str:
    """Name the image of a team's own."""
    return f"loopline.local/{team}:1"


def base() -> Path:
    """Return containerd's folder with what our package stands on, made if the cache has it not."""
    found = {name: one for name, one in closure(WANTED).items() if name not in _OURS}
    versions = sorted(f"{name} {one.version}" for name, one in found.items())
    ours = [HERE.joinpath(name).read_text() for name in ("images.py", "python_layer.py", "oci.py")]
    key = "\n".join([sys.version, str(python_layer.interpreter()), *ours, *versions])
    return seed.kept("loopline", key, lambda scratch: [_pause(scratch), _base(scratch, found.values())])


def _pause(folder: Path) -> Image:
    """Make the image that holds a pod's namespaces open: a program that waits."""
    folder.joinpath("pause.c").write_text(_PAUSE)
    subprocess.run(["gcc", "-static", "-Os", "-s", "-o", "pause", "pause.c"], cwd=folder, check=True)
    return Image(PAUSE, (write_layer(folder / "pause-layer.tar", [(folder / "pause", "pause")]),), ("/pause",))


def _base(folder: Path, found: Iterable[Distribution]) -> Image:
    """Make what our package stands on: the interpreter, and the versions of this environment, installed anew.

    Files of this environment itself would not do: distributions that share files are mixed up in it.
    """
    wanted = [f"{one.name}=={one.version}" for one in found]
    site = folder / "packages"
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps", "--compile-bytecode"]
    subprocess.run([*command, "--python", sys.executable, "--target", str(site), *wanted], check=True)
    python = write_layer(folder / "python-layer.tar", python_layer.files(folder / "root"))
    packages = write_layer(folder / "packages-layer.tar", [(site, SITE)])
    return replace(_LOOPLINE, name="loopline.local/base:1", layers=(python, packages))


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


def _own(folder: Path) -> Path:
    """Build our wheel, and the teams', as a release does, and install them into a folder of their own."""
    return _installed(folder / "site", folder / "own-layer.tar", ROOT, *TEAMS)


def _installed(site: Path, layer: Path, *sources: Path) -> Path:
    offline = ("--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--quiet")
    command = [sys.executable, "-m", "pip", "install", *offline, "--target", str(site), *map(str, sources)]
    subprocess.run(command, check=True, capture_output=True)
    return write_layer(layer, [(site, SITE)])


if __name__ == "__main__":  # what takes a minute where the cache is empty, before any test waits for it
    base()
