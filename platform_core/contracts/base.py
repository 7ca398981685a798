"""Base class of vendors: implementations of a contract, configured by an environment file."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Final, Self

from pydantic import BaseModel, ConfigDict, model_validator

from loopline.platform_core.errors import Unsupported
from loopline.platform_core.foundation.credentials import keep_within, shown

NO_CREDENTIAL: Final = "no credential"
"""Marks a field (``Annotated[SecretStr, NO_CREDENTIAL]``) that is hidden when shown and may be written in clear."""


class Vendor(BaseModel, abc.ABC):
    """An implementation of a contract; its fields are what an environment file may set.

    ``can`` names, as data, what this vendor does beyond the contract's promises. ``open_fields`` are fields whose
    values others may read, such as a pod's manifest: no secret is put there. ``extras`` are those of its distribution
    without which it does nothing; what only some settings need is named when it is used. Written out, a vendor shows no
    password that stands in a URL or under a key that is a credential's.
    """

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, defer_build=True)
    can: ClassVar[frozenset[str]] = frozenset()
    open_fields: ClassVar[frozenset[str]] = frozenset()
    extras: ClassVar[tuple[str, ...]] = ()

    def __eq__(self, other: object) -> bool:
        """Say that vendors are equal by their settings, whatever they have opened by now."""
        if type(self) is not type(other):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in type(self).model_fields)

    __hash__ = None  # type: ignore[assignment] # settings may change, and some hold what has no hash

    @model_validator(mode="after")
    def _keep_credentials(self) -> Self:
        """Let no text show those among the settings."""
        for name, field in type(self).model_fields.items():
            keep_within(getattr(self, name), name, may_show=NO_CREDENTIAL in field.metadata)
        return self

    def close(self) -> None:
        """Let go of connections and files; calling twice is harmless."""

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Show the settings without passwords."""
        return [(name, shown(value, name or "")) for name, value in super().__repr_args__()]

    def set_apart(self, name: str) -> AbstractContextManager[Self]:
        """Give this vendor on a place of its own called ``name``, with the same servers, accounts and bounds.

        What it does there touches nothing that is elsewhere, and nothing of it is left when the block ends. Who enters
        under a name that another left in the midst gets what lies there, and so clears it away. A vendor that is told
        its place by its fields shows it in them. ``name`` is letters, digits and dashes.

        Raises:
            Unsupported: it has no such places.
        """
        raise Unsupported(
            f"{type(self).__name__} cannot be set apart from what it holds, so {name} has no place there",
            "implement Vendor.set_apart: docs/how-to/add-a-vendor.md",
        )

    def with_settings(self, **changed: Any) -> Self:
        """Return another one with the same settings but for these, which shares no connection with this one."""
        return type(self)(**{name: getattr(self, name) for name in self.model_fields_set} | changed)

    def kept_bytes(self) -> int | None:
        """Return how many bytes this vendor keeps at its place; None where it cannot tell.

        It may take as long as listing all that lies there.

        Raises:
            StoreUnavailable: the store did not answer.
        """
        return None

    def kit_fixtures(self) -> Mapping[str, Any]:
        """Give what the contract's kit wants beside the vendor, by fixture, such as ``deliver`` of an event source."""
        return {}
