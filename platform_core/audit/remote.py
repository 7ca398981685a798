"""Remote signing key: signs by calling a key service; only its name and public keys are known here.

When the key is rotated there, the newest version signs from the next signature on, and what older ones signed is still
known by their public halves, as long as the store shows those.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from loopline.platform_core.audit import keys
from loopline.platform_core.audit.keys import VerifyingKey
from loopline.platform_core.contracts.remote_keys import SCHEME, RemoteKeys
from loopline.platform_core.errors import ContractBroken, InvalidEnvironment, NotFound

if TYPE_CHECKING:
    from loopline.platform_core.environment import Environment


@dataclass(frozen=True)
class RemoteKey:
    """Signs by asking; ``only`` are versions that may, all where it is empty."""

    name: str
    store: RemoteKeys
    only: frozenset[int] = frozenset()

    @cached_property
    def versions(self) -> dict[int, VerifyingKey]:
        """Return what verifies each version that may sign, asked for once.

        Raises:
            NotFound: the store has no such key, or no version of it that may. LooplineError: as the store raises.
        """
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        known = self.store.public_keys(self.name)
        found = {
            version: VerifyingKey(self.name, Ed25519PublicKey.from_public_bytes(raw))
            for version, raw in known.items()
            if not self.only or version in self.only
        }
        if not found:
            raise NotFound(f"the key {self.name!r} has no version that may sign", "look at it where it is kept")
        return found

    @property
    def verifying(self) -> VerifyingKey:
        """Return what verifies: the newest version's, with those of the versions before."""
        newest, *earlier = (self.versions[version] for version in sorted(self.versions, reverse=True))
        return replace(newest, earlier=tuple(earlier))

    def sign(self, text: bytes) -> tuple[VerifyingKey, bytes]:
        """Sign by the newest version; what comes back is held against its public half.

        Raises:
            ContractBroken: it is no signature of this text. LooplineError: as the store raises.
        """
        from cryptography.exceptions import InvalidSignature

        version = max(self.versions)
        signature = self.store.sign(self.name, text, version)
        try:
            self.versions[version].public.verify(signature, text)
        except InvalidSignature:
            raise ContractBroken(
                f"what was given for version {version} of the key {self.name!r} is no signature of it",
                "look whether it is the store that is meant",
            ) from None
        return self.versions[version], signature

    def of(self, lines: Collection[str]) -> RemoteKey:
        """Return the same key, which signs by the newest version among these public keys; itself where it is none."""
        known = frozenset(version for version, one in self.versions.items() if one.text in lines)
        return RemoteKey(self.name, self.store, known) if known else self


def named(environment: Environment, reference: str) -> RemoteKey:
    """Return the key that ``transit://name`` names; nothing is asked yet.

    Raises:
        InvalidEnvironment: it has a name that notes cannot have, or no store that signs is bound.
    """
    name = reference.removeprefix(SCHEME)
    keys.refuse_bad_name(name.replace("/", "+"))  # a path would lead elsewhere in the store
    store = environment.revealing.store() if environment.revealing is not None else None
    if not isinstance(store, RemoteKeys):
        raise InvalidEnvironment(
            f"{environment.path}: {reference} needs a store of secrets that signs",
            "bind one, such as secrets: {vendor: vault, url: …}, or name a key that is a secret or a file",
        )
    return RemoteKey(name, store)
