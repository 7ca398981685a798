"""Members of an averaging ensemble in a package: forms, files and weights in ``model.json``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from loopline.platform_core.runtime.model.files import File


class Member(msgspec.Struct, frozen=True):
    """One form, the file it is in, and its weight; weights add up to 1."""

    kind: Literal["lightgbm", "onnx", "pickle", "average", "graph", "python"]
    file: str
    weight: float


_decode = msgspec.json.Decoder(list[Member]).decode


def members(file: File) -> list[Member]:
    """Read them."""
    return _decode(file.read_bytes())
