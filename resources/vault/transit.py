"""Remote signing keys on Vault's transit engine."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping

from loopline.platform_core.errors import ContractBroken, InvalidEnvironment, LooplineError, NotFound, Refused
from loopline.resources.vault.failures import silent
from loopline.resources.vault.signing_in import SignIn

_KIND = "ed25519"


def public_keys(mount: str, name: str) -> Callable[[SignIn], Mapping[int, bytes]]:
    """Return what reads the public half of each version of a key.

    Raises:
        InvalidEnvironment: it is of another kind, when it is read.
    """

    def ask(sign_in: SignIn) -> Mapping[int, bytes]:
        found = sign_in.client.secrets.transit.read_key(name, mount_point=mount)["data"]
        if found["type"] != _KIND or found.get("derived"):
            raise InvalidEnvironment(
                f"the transit key {name!r} is of kind {found['type']}, not {_KIND}",
                f"make one: bao write -f {mount}/keys/<name> type={_KIND}",
            )
        return {int(version): base64.b64decode(one["public_key"]) for version, one in found["keys"].items()}

    return ask


def signature(mount: str, name: str, text: bytes, version: int) -> Callable[[SignIn], bytes]:
    """Return what lets one version of a key sign a text.

    Raises:
        ContractBroken: the answer is no signature of that version, when it comes.
    """

    def ask(sign_in: SignIn) -> bytes:
        given = base64.b64encode(text).decode()
        answer = sign_in.client.secrets.transit.sign_data(name, given, key_version=version, mount_point=mount)
        vault, said, encoded = answer["data"]["signature"].split(":")
        if (vault, said) != ("vault", f"v{version}"):
            raise ContractBroken(f"version {version} of {name!r} was to sign, and {said} did", "look at the engine")
        return base64.b64decode(encoded)

    return ask


def failure(name: str, mount: str, error: Exception) -> LooplineError:
    """Make the error for what the client raised."""
    kind = type(error).__name__
    if kind == "InvalidPath":
        return NotFound(f"Vault has no transit key {name!r}", f"make it: bao write -f {mount}/keys/{name} type={_KIND}")
    if kind in {"Forbidden", "Unauthorized"}:
        return Refused(
            f"Vault ({kind}) does not let this process sign by {name!r}",
            f"give the token's policy 'read' on {mount}/keys/{name} and 'update' on {mount}/sign/{name}",
        )
    if kind == "InvalidRequest":
        return Refused(
            f"Vault does not sign by {name!r}", f"look at the key's versions, and whether {mount} is a transit engine"
        )
    return silent(kind)
