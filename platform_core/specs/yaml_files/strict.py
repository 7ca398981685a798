"""Strict base of the YAML schemas: unknown fields are refused, errors name their line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict

from loopline.platform_core.errors import LooplineError


class Strict(BaseModel):
    """A part that knows each of its fields, and refuses others."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, frozen=True)

    def fields(self) -> dict[str, Any]:
        """Return the values by name."""
        return {name: getattr(self, name) for name in type(self).model_fields}


def declared(value: Any, handler: Callable[[Any], Any]) -> Any:
    """Let pydantic tell, with its line, what a declaration itself refuses."""
    try:
        return handler(value)
    except LooplineError as error:
        raise ValueError(f"{error.problem}; {error.fix}") from error
