"""Secret store on Vault's key-value engine, version 2."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, TypeVar

from pydantic import model_validator

from loopline.platform_core.contracts.remote_keys import RemoteKeys
from loopline.platform_core.contracts.secrets import REMOTE, Secrets, bad_name, no_such, refused
from loopline.platform_core.errors import LooplineError, Refused
from loopline.resources.vault import transit
from loopline.resources.vault.failures import silent
from loopline.resources.vault.signing_in import SignIn

_PART = re.compile(r"[A-Za-z0-9_@+=-][A-Za-z0-9._@+=-]{0,127}")
_LONGEST = 512
T = TypeVar("T")


class VaultSecrets(Secrets, RemoteKeys):
    """``secret://path/of/it#field`` is a field of the newest version below ``mount``; an only field needs no name.

    ``url`` and ``namespace`` are else those of VAULT_ADDR and VAULT_NAMESPACE. ``auth`` is ``token``: VAULT_TOKEN, or
    ``token_file``, which an agent renews; ``approle``: ``role`` is the role's id, and its secret lies in
    ``secret_id_file``; or ``kubernetes``: ``role`` with the service account's token in ``jwt_file``. ``auth_mount`` is
    where that method is mounted, when not under its own name. Who signs in so does it again when two thirds of the
    token's time are over, or when it was revoked. ``authority`` is the file of a certificate authority of your own.
    ``transit_mount`` is where keys are that sign and never leave Vault (``transit://name``).
    """

    extras = ("vault",)
    can: ClassVar[frozenset[str]] = frozenset({REMOTE})

    url: str = ""
    mount: str = "secret"
    transit_mount: str = "transit"
    namespace: str = ""
    auth: Literal["token", "approle", "kubernetes"] = "token"
    role: str = ""
    token_file: Path | None = None
    secret_id_file: Path | None = None
    jwt_file: Path = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
    auth_mount: str = ""
    authority: Path | None = None

    @model_validator(mode="after")
    def _can_sign_in(self) -> Self:
        if self.auth != "token" and not self.role:
            raise ValueError(f"auth '{self.auth}' needs 'role'")
        if self.auth == "approle" and self.secret_id_file is None:
            raise ValueError("auth 'approle' needs 'secret_id_file'")
        return self

    def current(self, name: str) -> Mapping[str, Any]:
        """Read the newest version, as a path below the mount."""
        if len(name) > _LONGEST or not all(_PART.fullmatch(part) for part in name.split("/")):
            raise bad_name(name, "a path has letters, digits and ._@+=-, in folders by '/'")
        return self._asked(lambda sign_in: self._read(sign_in, name), lambda error: _failure(name, error))

    def public_keys(self, name: str) -> Mapping[int, bytes]:
        """Read a key of the transit engine."""
        asked = transit.public_keys(self.transit_mount, name)
        return self._asked(asked, lambda error: transit.failure(name, self.transit_mount, error))

    def sign(self, name: str, text: bytes, version: int) -> bytes:
        """Let the transit engine sign."""
        asked = transit.signature(self.transit_mount, name, text, version)
        return self._asked(asked, lambda error: transit.failure(name, self.transit_mount, error))

    def close(self) -> None:
        """Let connections go."""
        for sign_in in self._clients.values():
            sign_in.client.adapter.close()
        self._clients.clear()

    def _asked(self, ask: Callable[[SignIn], T], failure: Callable[[Exception], LooplineError]) -> T:
        """Ask as somebody who is signed in, once more where the token was revoked."""
        from hvac.exceptions import Forbidden

        problem: LooplineError
        try:
            sign_in: SignIn = self.client(self._made)
            sign_in.be_signed_in()
            try:
                return ask(sign_in)
            except Forbidden:
                if not sign_in.again():
                    raise
                sign_in.be_signed_in()
                return ask(sign_in)
        except LooplineError:
            raise
        except Exception as error:  # noqa: BLE001 - hvac lets those of requests through
            problem = failure(error)
        raise problem  # outside the handler, so that nothing but what we say is told

    def _read(self, sign_in: SignIn, name: str) -> Mapping[str, Any]:
        answer = sign_in.client.secrets.kv.v2.read_secret_version(
            name, mount_point=self.mount, raise_on_deleted_version=True
        )
        return {field: _written(value) for field, value in answer["data"]["data"].items()}

    def _made(self) -> SignIn:
        import hvac

        client = hvac.Client(
            url=self.url or None,
            namespace=self.namespace or None,
            verify=str(self.authority) if self.authority else None,
            timeout=self.timeout_seconds,
        )
        return SignIn(
            client, self.auth, self.role, self.auth_mount, self.token_file, self.secret_id_file, self.jwt_file
        )


def _written(value: Any) -> Any:
    """Return a number as it is written; a text and anything else as it is."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _failure(name: str, error: Exception) -> LooplineError:
    kind = type(error).__name__
    if kind == "InvalidPath":
        return no_such(name, "Vault")
    if kind in {"Forbidden", "Unauthorized"}:
        fix = "give the token's policy 'read' on <mount>/data/<name>; if the token is over, sign in anew"
        return refused(name, f"Vault ({kind})", fix)
    if kind == "InvalidRequest":
        fix = "look at the role, its secret, and whether the mount is a key-value engine of version 2"
        return Refused("Vault does not take the request, or the sign-in", fix)
    return silent(kind)
