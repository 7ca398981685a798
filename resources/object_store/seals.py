"""Signatures of desired states, so that write access to the store alone cannot deploy.

What is signed names the place, the model and the generation, so that a state counts nowhere else and for nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from loopline.platform_core.audit import keys, notes
from loopline.platform_core.audit.keys import SigningKey, VerifyingKey
from loopline.platform_core.errors import ContractBroken

KIND = "loopline-desired-state/1"
_KEY, _SIGNER = "serving's state_key", "one of serving's state_signers"


@dataclass(frozen=True)
class Seal:
    """Signs by ``key``, which is "" where nobody deploys; with ``signers`` a state that none of them signed is none."""

    key: str = ""
    signers: Sequence[str] = ()

    def __repr__(self) -> str:
        """Show nothing of the key."""
        return f"Seal(signers={list(self.signers)!r})"

    @property
    def signs(self) -> bool:
        """Say whether states are signed here."""
        return bool(self.key)

    @property
    def looks(self) -> bool:
        """Say whether states must be signed here: who signs them takes no others either."""
        return bool(self.signers or self.key)

    def signed(self, place: str, model: str, generation: int, content: bytes) -> str:
        """Return the note of a state that is asked for.

        Raises:
            InvalidEnvironment: the key is none.
        """
        at = datetime.now(UTC).isoformat(timespec="microseconds")
        return notes.signed(f"{_said(place, model, generation, content)}at {at}\n", self._private)

    def hold(self, note: str, place: str, model: str, generation: int, content: bytes) -> None:
        """Refuse a state that is not just what one of the signers asked for, here and of this model.

        Raises:
            ContractBroken: it is not. InvalidEnvironment: a signer's line is no key.
        """
        text, by = notes.opened(note, self._known)
        if by is None:
            who = ", ".join(notes.signers(note)) or "nobody"
            raise ContractBroken(f"the desired state of {model} is signed by {who}, who may not ask for one", _LOOK)
        said, at, _ = text.rpartition("at ")
        if not at or said != _said(place, model, generation, content):
            raise ContractBroken(f"the desired state of {model} bears a signature of something else", _LOOK)

    @cached_property
    def _private(self) -> SigningKey:
        return keys.signing(self.key, _KEY)

    @cached_property
    def _known(self) -> list[VerifyingKey]:
        own = [self._private.verifying] if self.key else []
        return [*own, *(keys.of_line(line, _SIGNER) for line in self.signers)]


_LOOK = "see who writes to the store beside the platform; then let the platform ask again: any rollout or rollback does"


def _said(place: str, model: str, generation: int, content: bytes) -> str:
    return f"{KIND}\n{place}\n{model}\n{generation}\n{hashlib.sha256(content).hexdigest()}\n"
