"""Secret store on Azure Key Vault."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from loopline.platform_core.contracts.secrets import REMOTE, Secrets, bad_name, no_such, refused
from loopline.platform_core.errors import LooplineError, Refused, StoreUnavailable
from loopline.resources.azure.identity import identity

_NAME = re.compile(r"[A-Za-z0-9-]{1,127}")
_BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN, _TOO_MANY = 400, 401, 403, 429
_RIGHTS = "give the identity the role 'Key Vault Secrets User' on the vault, and let its network in"
_SIGN_IN = (
    "give the process an identity: workload identity (label the pod azure.workload.identity/use), or the machine's own"
)


class AzureKeyVault(Secrets):
    """``secret://name`` is the current version of a secret of the vault at ``vault_url``; case makes no other name.

    Who asks is found by DefaultAzureCredential: workload identity, the machine's managed identity, or variables.
    ``own_cloud`` is for a cloud whose sign-in (AZURE_AUTHORITY_HOST) Microsoft does not know of; ``authority`` is the
    file of a certificate authority of your own, for vault and sign-in.
    """

    extras = ("azure",)
    can: ClassVar[frozenset[str]] = frozenset({REMOTE})

    vault_url: str = Field(pattern="^https://[^/]+/?$")
    own_cloud: bool = False
    authority: Path | None = None

    def current(self, name: str) -> str:
        """Ask for the current version; one that is disabled gives no older one."""
        if not _NAME.fullmatch(name):
            raise bad_name(name, "Key Vault takes up to 127 letters, digits and dashes")
        from azure.core.exceptions import AzureError

        problem: LooplineError
        try:
            found = self.client(self._made)[0].get_secret(name)
        except AzureError as error:
            problem = _failure(name, error)
        else:
            return str(found.value or "")
        raise problem  # outside the handler, so that nothing but what we say is told

    def close(self) -> None:
        """Let connections go."""
        for client, credential in self._clients.values():
            client.close()
            credential.close()
        self._clients.clear()

    def _made(self) -> tuple[Any, Any]:
        from azure.keyvault.secrets import SecretClient

        seconds = self.timeout_seconds
        trust = {"connection_verify": str(self.authority)} if self.authority else {}
        patience = {"retry_total": 0, "connection_timeout": seconds, "read_timeout": seconds, **trust}
        credential = identity(disable_instance_discovery=self.own_cloud, **patience)
        return SecretClient(self.vault_url, credential, **patience), credential


def _failure(name: str, error: Any) -> LooplineError:
    kind, status = type(error).__name__, getattr(error, "status_code", None)
    if kind == "ResourceNotFoundError":
        return no_such(name, "Key Vault")
    if status == _FORBIDDEN and "SecretDisabled" in str(error):
        return Refused(f"the current version of the secret {name!r} is disabled", "enable it, or set a new one")
    if status == _FORBIDDEN:
        return refused(name, "Key Vault", _RIGHTS)
    if kind in {"ClientAuthenticationError", "CredentialUnavailableError"} or status == _UNAUTHORIZED:
        return refused(name, f"Azure's sign-in ({kind})", _SIGN_IN)
    if status == _BAD_REQUEST:
        return bad_name(name, "Key Vault does not take it")
    return StoreUnavailable(
        f"Key Vault does not answer: {status or kind}",
        "look whether the vault is reached from here; else it is tried again",
        delay_seconds=5.0 if status == _TOO_MANY else 1.0,
    )
