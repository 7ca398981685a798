"""Local token storage of ``loopline login``, a private file for each way to sign in."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.platform_core.foundation.files import write_private

if TYPE_CHECKING:
    from loopline.platform_core.sign_in_settings import SignIn


@dataclass(frozen=True)
class Kept:
    """A file of texts by name, which only its owner can read."""

    file: Path

    @classmethod
    def of(cls, settings: SignIn) -> Kept:
        """Return the file of an environment's provider, or of its accounts."""
        base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        named = f"{settings.issuer} {settings.cli_client_id}" if settings.issuer else str(settings.accounts)
        return cls(base / "loopline" / "sign-in" / f"{hashlib.sha256(named.encode()).hexdigest()[:16]}.json")

    def read(self) -> Mapping[str, str]:
        """Return what is kept; nothing where nobody logged in, or the file is none of ours."""
        try:
            found = json.loads(self.file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        whole = isinstance(found, dict) and all(isinstance(value, str) for value in found.values())
        return found if whole else {}

    def write(self, texts: Mapping[str, str]) -> None:
        """Keep texts in the place of what was kept."""
        self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(self.file, json.dumps(dict(texts)).encode())

    def forget(self) -> None:
        """Keep nothing."""
        self.file.unlink(missing_ok=True)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let one process at a time change it: a provider takes a refresh token once."""
        self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(self.file.with_name(f".{self.file.stem}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)
