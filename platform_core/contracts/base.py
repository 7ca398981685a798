"""What all contracts share."""

from __future__ import annotations

import abc
from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Vendor(BaseModel, abc.ABC):
    """An implementation of a contract; its fields are what an environment file may set.

    ``can`` names, as data, what this vendor does beyond the contract's promises.
    """

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, defer_build=True)
    can: ClassVar[frozenset[str]] = frozenset()

    def close(self) -> None:
        """Let go of connections and files; calling twice is harmless."""
