"""First error of a pydantic validation: its place and message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loopline.platform_core.foundation.located_yaml import Place


def first(errors: Sequence[Any]) -> tuple[Place, str, str]:
    """Return of what ``ValidationError.errors`` gave the first place, the same as ``field.part``, and what is wrong."""
    one = errors[0]
    place = tuple(one["loc"])
    return place, ".".join(map(str, place)), one["msg"]
