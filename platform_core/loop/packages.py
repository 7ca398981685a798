"""Model packages on this installation's disk, where the inference server loads them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from loopline.platform_core.foundation.files import put_folder

if TYPE_CHECKING:
    from loopline.platform_core.contracts.serving import Served
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.platform import Platform


def fetched(platform: Platform, ref: ModelRef, version: str) -> Path:
    """Return the package's folder ``<home>/packages/<team.model>/<version>``, fetched from the registry if need be.

    The folder appears whole or not at all, whoever is killed and however many fetch at once.

    Raises:
        NotFound: the registry has no such version.
    """
    target = platform.home / "packages" / ref.dotted / version
    if target.is_dir():
        return target
    draft = _draft(target)
    draft.mkdir(parents=True)
    try:
        put_folder(platform.registry.fetch(ref.dotted, version, draft), target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def at_hand(platform: Platform, ref: ModelRef, served: Served) -> Served:
    """Return a served version with a package folder that is there: the home may have moved since it was deployed.

    Raises:
        NotFound: the folder is gone, and the registry has no such version.
    """
    if served.package.is_dir():
        return served
    return replace(served, package=fetched(platform, ref, served.version))


def keep(platform: Platform, ref: ModelRef, version: str, package: Path) -> None:
    """Put a copy of a package that was just published where ``fetched`` looks, so that nobody need fetch it."""
    target = platform.home / "packages" / ref.dotted / version
    if target.is_dir():
        return
    draft = _draft(target)
    try:
        shutil.copytree(package, draft)
        put_folder(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _draft(target: Path) -> Path:
    """Name a folder beside the target that nobody else writes: threads of one process fetch too."""
    return target.with_name(f".{target.name}.{uuid4().hex}")
