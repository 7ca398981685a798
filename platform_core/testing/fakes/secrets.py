"""In-memory secret store, which can be told to fail."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, PrivateAttr

from loopline.platform_core.contracts.secrets import Secrets, bad_name, no_such, refused
from loopline.platform_core.errors import Refused, StoreUnavailable

Mood = Literal["well", "refuses", "busy", "gone", "silent"]
_NAME = re.compile(r"[A-Za-z0-9-]{1,100}")


class InMemorySecrets(Secrets):
    """Keeps what ``put`` gave it, in ``kept``; ``feel`` sets its mood."""

    kept: dict[str, str | bytes] = Field(default_factory=dict, repr=False, exclude=True)
    _withdrawn: set[str] = PrivateAttr(default_factory=set)
    _mood: Mood = PrivateAttr(default="well")
    _asked: list[str] = PrivateAttr(default_factory=list)

    def current(self, name: str) -> str | bytes:
        """Look it up, as the mood allows."""
        if not _NAME.fullmatch(name):
            raise bad_name(name, "use letters, digits and dashes")
        self._asked.append(name)
        if self._mood == "refuses":
            raise refused(name, "the store", "give its identity the right to read")
        if self._mood != "well":
            raise StoreUnavailable(f"the store is {self._mood}", "wait")
        if name in self._withdrawn:
            raise Refused(f"the secret {name!r} was withdrawn", "write a new one")
        if name not in self.kept:
            raise no_such(name, "the store")
        return self.kept[name]

    def put(self, name: str, value: str | bytes) -> None:
        """Write a secret, or write it anew."""
        self.kept[name] = value

    def withdraw(self, name: str) -> None:
        """Take a secret back; its name stays known."""
        self._withdrawn.add(name)

    def feel(self, mood: Mood) -> None:
        """Answer so from now on."""
        self._mood = mood

    @property
    def asked(self) -> list[str]:
        """Return the names that were asked for, in their order."""
        return self._asked

    def __getstate__(self) -> dict[str, object]:
        """Leave what is kept behind, as a connection would."""
        state = super().__getstate__()
        return {**state, "__dict__": {**state["__dict__"], "kept": {}}}
