"""Model packages on this machine's disk, fetched from the registry for the inference server."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from loopline.platform_core.foundation.files import put_folder
from loopline.platform_core.signing.statement import FILE, TAG

if TYPE_CHECKING:
    from loopline.platform_core.contracts.serving import Served
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.platform import Platform


def fetched(platform: Platform, ref: ModelRef, version: str) -> Path:
    """Return the package's folder ``<home>/packages/<team.model>/<version>``, fetched from the registry if need be.

    The folder appears whole or not at all, whoever is killed and however many fetch at once. Where packages are signed
    it has its signature, and appears if that holds.

    Raises:
        NotFound: the registry has no such version. Untrusted: it is not what a known trainer signed.
    """
    target, proof = place(platform, ref, version), platform.proof(ref, version)
    if target.is_dir():
        if proof is not None and not target.joinpath(FILE).exists():  # it was fetched before packages were signed
            renew(platform, ref, version)
        return target
    draft = _draft(target)
    draft.mkdir(parents=True)
    try:
        put_folder(proven(platform, ref, version, draft), target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def place(platform: Platform, ref: ModelRef, version: str) -> Path:
    """Return where a package lies on this disk, if it does."""
    return platform.home / "packages" / ref.dotted / version


def proven(platform: Platform, ref: ModelRef, version: str, folder: Path) -> Path:
    """Fetch a package into a folder; where packages are signed, with its signature, which is held against it.

    Raises:
        NotFound: the registry has no such version. Untrusted: it is not what a known trainer signed.
    """
    package, proof = platform.registry.fetch(ref.dotted, version, folder), platform.proof(ref, version)
    if proof is not None:
        package.joinpath(FILE).unlink(missing_ok=True)  # never through what somebody may have put there
        package.joinpath(FILE).write_text(_note(platform, ref, version), encoding="utf-8")
        proof.opened(package)
    return package


def at_hand(platform: Platform, ref: ModelRef, served: Served) -> Served:
    """Return a served version with a package folder that is there: the home may have moved since it was deployed.

    Raises:
        NotFound: the folder is gone, and the registry has no such version.
    """
    if served.package.is_dir():
        return served
    return replace(served, package=fetched(platform, ref, served.version))


def keep(platform: Platform, ref: ModelRef, version: str, package: Path, note: str = "") -> None:
    """Put a copy of a package that was just published where ``fetched`` looks, with its signature if it has one."""
    target = place(platform, ref, version)
    if target.is_dir():
        return
    draft = _draft(target)
    try:
        shutil.copytree(package, draft)
        if note:
            draft.joinpath(FILE).write_text(note, encoding="utf-8")
        put_folder(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def renew(platform: Platform, ref: ModelRef, version: str) -> None:
    """Bring the signature of a package that is here up to what the registry has."""
    target, note = place(platform, ref, version), _note(platform, ref, version)
    if note and target.is_dir():
        draft = _draft(target)  # beside the folder: a file more in it would be one that nobody signed
        draft.write_text(note, encoding="utf-8")
        draft.replace(target / FILE)


def _note(platform: Platform, ref: ModelRef, version: str) -> str:
    """Return what the registry has as a version's signature; "" where it has none, which proves nothing."""
    return platform.registry.get(ref.dotted, version).tags.get(TAG, "")


def _draft(target: Path) -> Path:
    """Name a folder beside the target that nobody else writes: threads of one process fetch too."""
    return target.with_name(f".{target.name}.{uuid4().hex}")
