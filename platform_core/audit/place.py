"""Where the audit's signing and verifying keys are: a file, the secret store, or a remote key service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from loopline.platform_core.audit import keys, remote
from loopline.platform_core.contracts.remote_keys import SCHEME

if TYPE_CHECKING:
    from loopline.platform_core.audit.keys import Signs, VerifyingKey
    from loopline.platform_core.platform import Platform

_MADE = "make one with 'loopline audit init', or name it in the environment file: audit: {key: secret://<name>}"


def key_file(platform: Platform) -> Path:
    """Return the file of the key that signs, where the environment names no other one."""
    return platform.home / "audit" / "key"


def has_key(platform: Platform) -> bool:
    """Say whether there is a key that signs."""
    return bool(platform.environment.audit) or key_file(platform).exists()


def signing_key(platform: Platform) -> Signs:
    """Return the key that signs, asked for now: from the store of secrets, or its file; or who signs by one elsewhere.

    Raises:
        NotFound: there is none. InvalidEnvironment: it is none. LooplineError: as the store of secrets raises.
    """
    if platform.environment.audit.startswith(SCHEME):
        return remote.named(platform.environment, platform.environment.audit)
    named = str(platform.environment.revealed("audit")) if platform.environment.audit else ""
    if named.startswith("PRIVATE+KEY+"):
        return keys.signing(named)
    return keys.signing(_text(Path(named) if named else key_file(platform)))


def verifying_key(platform: Platform, given: str = "") -> VerifyingKey:
    """Return the key that verifies: the one given (its line, or a file with it), else the installation's own.

    Raises:
        NotFound: there is none. InvalidEnvironment: it is none.
    """
    if given:
        return keys.verifying(given if given.count("+") >= 2 and not Path(given).exists() else _text(Path(given)))  # noqa: PLR2004
    public = key_file(platform).with_name("key.pub")
    if not platform.environment.audit and public.exists():
        return keys.verifying(_text(public))
    return signing_key(platform).verifying


def _text(file: Path) -> str:
    return keys.text(file, "key of the audit", _MADE)
