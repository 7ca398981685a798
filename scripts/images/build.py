"""Builds an image from this environment's versions: the same files give the same digest, whenever and wherever.

Nothing of a build's time or place stays: files have one time, installers' notes go, and modules are compiled so that
they name a hash of their source.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import distribution
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement

from scripts.cluster import java_layer, python_layer
from scripts.cluster.oci import Image, same_everywhere, write_image
from scripts.images.contents import ENVIRONMENT, SITE, closure
from scripts.images.kinds import Kind
from scripts.images.sbom import write_sbom

_NOTES = ("direct_url.json", "uv_cache.json", "REQUESTED", "INSTALLER", "RECORD")
"""What an installer leaves of where and how; RECORD lists these and compiled files."""
OURS = {"loopline", "loopline-retail"}
_SYSTEM, _THEIRS, _OURS = "system", "theirs", "ours"
"""Folders of a build, of which its layers are made."""


@dataclass(frozen=True)
class Built:
    """An image as an OCI archive, the digest by which it is known, and its bill of materials."""

    archive: Path
    digest: str
    sbom: Path


def build(kind: Kind, tag: str, folder: Path) -> Built:
    """Build an image into a folder; what it needs in between lies there too, and goes.

    Raises:
        subprocess.CalledProcessError: a distribution cannot be installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".") as scratch:  # its own: two builds may go on at once
        return _built(kind, tag, folder, Path(scratch))


def _built(kind: Kind, tag: str, folder: Path, scratch: Path) -> Built:
    layers = (*lower_layers(kind, scratch), own_layer(kind, scratch))
    sites = scratch / "site"
    for site in (_THEIRS, _OURS):
        shutil.copytree(scratch / site, sites, dirs_exist_ok=True, ignore=_but_metadata)
    bill = folder / f"{kind.name}.cdx.json"
    sbom = write_sbom(bill, image_name(kind, tag), sites, scratch / _SYSTEM)
    archive = write_image(folder / f"{kind.name}.tar", image(kind, tag, layers))
    return Built(archive, digest(archive), sbom)


def lower_layers(kind: Kind, scratch: Path) -> tuple[Path, Path]:
    """Make the layers that change seldom: the interpreter with the system's libraries, and others' packages."""
    _write_system(kind, scratch)
    install(scratch / _THEIRS, pinned(kind))
    python = _layer(scratch / "python.tar", [(scratch / _SYSTEM, "/")])
    return python, _layer(scratch / "theirs.tar", [(scratch / _THEIRS, SITE)])


def own_layer(kind: Kind, scratch: Path) -> Path:
    """Make the layer with our packages, built and installed as a release is."""
    _install_ours(scratch / _OURS, kind.ours)
    return _layer(scratch / "own-layer.tar", [(scratch / _OURS, SITE)])


def image_name(kind: Kind, tag: str) -> str:
    """Name an image as values of the chart do."""
    return f"loopline/{kind.name}:{tag}"


def digest(archive: Path) -> str:
    """Return the digest by which an archive's image is known, in a registry too."""
    with tarfile.open(archive) as tar:
        index = tar.extractfile("index.json")
        assert index is not None
        return str(json.load(index)["manifests"][0]["digest"])


def image(kind: Kind, tag: str, layers: tuple[Path, ...]) -> Image:
    """Return an image of these layers, with how its program starts."""
    environment = {**ENVIRONMENT, "OMP_NUM_THREADS": "1"}
    if kind.java:
        environment["JAVA_HOME"] = str(java_layer.home())
    start = (str(python_layer.interpreter()), "-m", kind.module)
    return Image(image_name(kind, tag), layers, start, environment=environment)


def _write_system(kind: Kind, scratch: Path) -> None:
    """Copy interpreter, standard library and the system's libraries below one folder, as they lie in the image."""
    root = scratch / _SYSTEM
    for path, name in chain(python_layer.files(scratch / "made"), java_layer.files() if kind.java else ()):
        target = root / name.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(path, target, dirs_exist_ok=True) if path.is_dir() else shutil.copy2(path, target)
    _compile(root, "/")


def _layer(target: Path, files: Iterable[tuple[Path, str]]) -> Path:
    """Write a layer: links are followed, all belongs to root, and has one time and what rights it needs."""
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT, dereference=True) as tar:
        for path, name in files:
            tar.add(path, arcname=name.lstrip("/"), filter=same_everywhere)
    return target


def pinned(kind: Kind) -> list[str]:
    """Return what an image holds of others, each as ``name==version`` of this environment."""
    alone = {name: distribution(name) for name in (Requirement(line).name for line in kind.alone)}
    found = closure(kind.wanted) | alone
    return sorted(f"{name}=={one.version}" for name, one in found.items() if name not in OURS)


def install(site: Path, wanted: Iterable[str]) -> None:
    """Install distributions into a folder, with nothing of where and when in them."""
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps", "--python", sys.executable]
    subprocess.run([*command, "--link-mode", "copy", "--target", str(site), *wanted], check=True)
    _settle(site)


def _install_ours(site: Path, projects: Iterable[Path]) -> None:
    """Build wheels as a release does, and install them."""
    offline = ("--no-index", "--no-deps", "--no-build-isolation", "--no-compile", "--disable-pip-version-check")
    command = [sys.executable, "-m", "pip", "install", "--quiet", *offline, "--target", str(site)]
    subprocess.run([*command, *map(str, projects)], check=True)
    _settle(site)


def _settle(site: Path) -> None:
    """Take out what tells of this build, and compile."""
    for note in _NOTES:
        for file in site.glob(f"*.dist-info/{note}"):
            file.unlink()
    shutil.rmtree(site / "bin", ignore_errors=True)  # they name the interpreter of the machine that built
    _compile(site, SITE)


def _compile(folder: Path, place: str) -> None:
    """Compile modules so that they name a hash of their source and their place; templates do not compile."""
    for cache in sorted(folder.rglob("__pycache__")):
        shutil.rmtree(cache)
    how = ["-m", "compileall", "-q", "-s", str(folder), "-p", place, "--invalidation-mode", "unchecked-hash"]
    subprocess.run([sys.executable, *how, str(folder)], check=False, stdout=subprocess.DEVNULL)


def _but_metadata(folder: str, names: list[str]) -> list[str]:
    """Leave out everything but what names a distribution."""
    return [name for name in names if not name.endswith(".dist-info") and ".dist-info" not in folder]
