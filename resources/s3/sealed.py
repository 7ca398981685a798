"""Encryption of a tenant's access key by a password, because S3 shows its secret once only."""

from __future__ import annotations

import base64
import hashlib
from typing import NamedTuple

_WORK = 2**14
"""Of scrypt: some 50 ms and 16 MB for each guess at a password."""


class AccessKey(NamedTuple):
    """Who one is to S3."""

    id: str
    secret: str


def seal(key: AccessKey, password: str) -> str:
    """Write a key's id, and its secret so that it is read by the password only: at most 256 characters, as tags are."""
    from cryptography.fernet import Fernet

    return f"{key.id}:{Fernet(_lock(key.id, password)).encrypt(key.secret.encode()).decode()}"


def key_id(sealed: str) -> str:
    """Return the id of a key that was sealed, "" for what is none."""
    name, colon, _ = sealed.partition(":")
    return name if colon else ""


def unsealed(sealed: str, password: str) -> AccessKey | None:
    """Return the key, or nothing where it was sealed by another password or changed since."""
    from cryptography.fernet import Fernet, InvalidToken

    name, _, locked = sealed.partition(":")
    try:
        return AccessKey(name, Fernet(_lock(name, password)).decrypt(locked.encode()).decode())
    except InvalidToken:
        return None


def _lock(salt: str, password: str) -> bytes:
    return base64.urlsafe_b64encode(hashlib.scrypt(password.encode(), salt=salt.encode(), n=_WORK, r=8, p=1, dklen=32))
