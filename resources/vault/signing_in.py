"""Sign-in to Vault, renewed before the token expires."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loopline.platform_core.errors import Refused

_SHARE = 2 / 3
"""Of a token's time, after which another one is fetched."""


@dataclass
class SignIn:
    """Keeps the client's token valid."""

    client: Any = field(repr=False)
    auth: str
    role: str
    mount: str
    token_file: Path | None
    secret_id_file: Path | None
    jwt_file: Path
    _until: float = 0.0
    _signing: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def be_signed_in(self) -> None:
        """Have a token that holds; a token's file is read each time, for others renew it.

        Raises:
            Refused: there is no token, or the file that is needed cannot be read.
        """
        if self.auth == "token":
            self.client.token = _content(self.token_file) if self.token_file else self.client.token
            if not self.client.token:
                raise Refused("no token for Vault is at hand", "set VAULT_TOKEN, or 'token_file', or another 'auth'")
            return
        with self._signing:
            if time.monotonic() >= self._until:
                self._log_in()

    def again(self) -> bool:
        """Forget the token, which may have been revoked; False where no other one could be had."""
        with self._signing:
            fresh = self.auth != "token" and self._until > 0.0
            self._until = 0.0
        return fresh

    def _log_in(self) -> None:
        begun = time.monotonic()
        if self.auth == "approle":
            answer = self.client.auth.approle.login(
                self.role, _content(self.secret_id_file), mount_point=self.mount or "approle"
            )
        else:
            answer = self.client.auth.kubernetes.login(
                self.role, _content(self.jwt_file), mount_point=self.mount or "kubernetes"
            )
        seconds = answer["auth"]["lease_duration"]
        self._until = begun + seconds * _SHARE if seconds else float("inf")


def _content(file: Path | None) -> str:
    try:
        return file.read_text().strip() if file else ""
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(
            f"{file} cannot be read ({type(error).__name__}), by which this process signs in to Vault",
            "look whether the file is mounted, and readable for the process's user",
        ) from None
