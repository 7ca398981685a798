"""CSRF tokens of forms, made of a browser's cookie and a secret of the installation."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

COOKIE = "loopline_form"
_BYTES = 32


def secret(home: Path) -> bytes:
    """Return this installation's secret, made at the first call; only its owner can read the file."""
    file = home / "portal.secret"
    if not file.exists():
        home.mkdir(parents=True, exist_ok=True)
        draft = home / f"portal.secret.{os.getpid()}.{secrets.token_hex(4)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            out.write(secrets.token_bytes(_BYTES))
        try:
            os.link(draft, file)  # the first of several processes wins
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return file.read_bytes()


def browser() -> str:
    """Make a browser's cookie."""
    return secrets.token_urlsafe(_BYTES)


def token(key: bytes, cookie: str) -> str:
    """Return the token that goes with a browser's cookie."""
    return hmac.new(key, cookie.encode(), hashlib.sha256).hexdigest()


def matches(key: bytes, cookie: str, given: str) -> bool:
    """Say whether a token was made for this cookie."""
    return bool(cookie) and hmac.compare_digest(token(key, cookie).encode(), given.encode())
