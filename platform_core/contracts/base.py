"""What all contracts share."""

from __future__ import annotations

import abc
from collections.abc import Iterable
from typing import Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict

from loopline.platform_core.foundation.credentials import shown

NO_CREDENTIAL: Final = "no credential"
"""Marks a field (``Annotated[SecretStr, NO_CREDENTIAL]``) that is hidden when shown and may be written in clear."""


class Vendor(BaseModel, abc.ABC):
    """An implementation of a contract; its fields are what an environment file may set.

    ``can`` names, as data, what this vendor does beyond the contract's promises. ``open_fields`` are fields whose
    values others may read, such as a pod's manifest: no secret is put there. Written out, a vendor shows no password
    that stands in a URL or under a key that is a credential's.
    """

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, defer_build=True)
    can: ClassVar[frozenset[str]] = frozenset()
    open_fields: ClassVar[frozenset[str]] = frozenset()

    def close(self) -> None:
        """Let go of connections and files; calling twice is harmless."""

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Show the settings without passwords."""
        return [(name, shown(value, name or "")) for name, value in super().__repr_args__()]
