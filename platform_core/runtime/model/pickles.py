"""Pickle check: which files of a package would be unpickled, and so could run code, when it is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.runtime.model import averaging, graphs, manifest

if TYPE_CHECKING:
    from loopline.platform_core.runtime.model.files import File, Package

KINDS = frozenset({"pickle", "python", "graph"})
"""Forms whose file is a pickle; LightGBM's text, ONNX and our own JSON are read and never run."""


def unpickled(package: Package) -> list[str]:
    """Name them; nothing is unpickled for that.

    Raises:
        NotFound: the folder holds no package. ContractBroken: what names its files cannot be read.
    """
    try:
        known = manifest.load(package)
        return list(_of(known.kind, package.joinpath(known.file)))
    except msgspec.MsgspecError as error:
        raise ContractBroken(f"{package}: {error}", "package the model anew") from error


def _of(kind: str, file: File) -> Iterator[str]:
    if kind in KINDS:
        yield file.name
    if kind == "average":
        for member in averaging.members(file):
            yield from _of(member.kind, file.with_name(member.file))
    if kind == "graph":
        for one in graphs.estimators(file).values():
            yield from _of(one.kind, file.with_name(one.file))
