"""A service account of Google's: a key that signs, its file as Google gives it, and the half that others may know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


def new_key() -> rsa.RSAPrivateKey:
    """Make a key that nobody knows yet."""
    return rsa.generate_private_key(65537, 2048)


def private(key: Any) -> str:
    """Write a key."""
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return str(key.private_bytes(encoding, form, serialization.NoEncryption()).decode())


def public(key: Any) -> bytes:
    """Write what verifies its signatures."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return bytes(key.public_key().public_bytes(serialization.Encoding.PEM, form))


def signer(file: Path, key: Any, project: str, token_uri: str) -> Path:
    """Write a service account's file."""
    said = {
        "type": "service_account",
        "project_id": project,
        "private_key_id": "1",
        "private_key": private(key),
        "client_email": f"kit@{project}.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": token_uri,
    }
    file.write_text(json.dumps(said))
    return file
