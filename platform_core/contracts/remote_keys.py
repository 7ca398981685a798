"""Contract of remote signing keys, which never leave their key service; named by ``transit://name``."""

from __future__ import annotations

import abc
from collections.abc import Mapping

SCHEME = "transit://"


class RemoteKeys(abc.ABC):
    """Signs by keys (Ed25519) that it holds, each of which has versions from 1 on: a store of secrets may do so too.

    Both methods raise ``NotFound`` where there is no such key, ``InvalidEnvironment`` where it is of another kind,
    ``Refused`` where this identity is not let in, and ``Transient`` where the store is busy, gone or silent.
    """

    @abc.abstractmethod
    def public_keys(self, name: str) -> Mapping[int, bytes]:
        """Return the public half of each version of a key, 32 bytes, as the store has them now."""

    @abc.abstractmethod
    def sign(self, name: str, text: bytes, version: int) -> bytes:
        """Return the signature of a text by one version of a key, 64 bytes."""
