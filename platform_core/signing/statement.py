"""Signed statement of a package: model, version, and the sha256 of each file."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec

from loopline.platform_core.errors import ContractBroken

FILE = "signature.note"
"""Lies beside a package's files where it is loaded, and is none of them."""
TAG = "signature"
"""The tag of a version in the registry."""
KIND, EDGE = "loopline-package/1", "loopline-edge/1"
"""What is signed: a package, or a folder for a device; neither is ever taken for the other."""


class Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which files are a version's, by name and sha256.

    ``model`` is ``team.model``. Before the registry has given a number ``version`` is "": such a statement proves
    nothing yet, and is completed by whoever signed it. ``key`` is the publication's (its tag ``key``).
    """

    kind: str
    model: str
    version: str
    key: str
    trainer: str
    signed_at: Annotated[datetime, msgspec.Meta(tz=True)]
    files: dict[str, str]

    @property
    def text(self) -> str:
        """Return what the signature is of: one line of JSON."""
        return msgspec.json.encode(self, order="sorted").decode() + "\n"


_decode = msgspec.json.Decoder(Statement).decode


def parsed(text: str) -> Statement:
    """Read one.

    Raises:
        ContractBroken: the text is none.
    """
    try:
        found = _decode(text)
    except msgspec.MsgspecError as error:
        raise ContractBroken(f"a signed text is no statement of a package: {error}", "sign the package anew") from error
    if found.kind != KIND:
        raise ContractBroken(f"a signed text is of kind {found.kind!r}, not {KIND}", "sign the package anew")
    return found


def sums(package: Path) -> dict[str, str]:
    """Return the sha256 of each file of a package, by its name below the folder.

    Raises:
        ContractBroken: something in it is neither a file nor a folder.
    """
    return {name: sum_of(package / name) for name in names(package)}


def sum_of(path: Path) -> str:
    """Return a file's sha256, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def names(package: Path) -> list[str]:
    """Name the files of a package, sorted, but for its signature.

    Raises:
        ContractBroken: something in it is neither a file nor a folder, such as a link.
    """
    found = []
    for path in package.rglob("*"):
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise ContractBroken(f"{path} is neither a file nor a folder", "package the model anew")
        if path.is_file():
            found.append(path.relative_to(package).as_posix())
    return sorted(name for name in found if name != FILE)
