"""Secrets in Google Cloud's Secret Manager."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

from loopline.platform_core.contracts.secrets import REMOTE, Secrets, bad_name, no_such, refused
from loopline.platform_core.errors import InvalidEnvironment, LooplineError, Refused, StoreUnavailable

_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_RIGHTS = "give the service account roles/secretmanager.secretAccessor on this secret"
_SIGN_IN = "give the process an identity: Workload Identity of its service account, or the instance's"


class GoogleSecretManager(Secrets):
    """``secret://name`` is the newest version of a secret of ``project``; left out, that of the identity.

    Who asks is found by Application Default Credentials: Workload Identity, the instance, or a file that
    GOOGLE_APPLICATION_CREDENTIALS names. ``location`` is that of regional secrets, ``endpoint`` a host and port of your
    own network, with ``authority`` where its certificate is of your own authority.
    """

    can: ClassVar[frozenset[str]] = frozenset({REMOTE})

    project: str = ""
    location: str = ""
    endpoint: str = ""
    authority: Path | None = None

    def current(self, name: str) -> bytes:
        """Ask for the version that is the newest: one that is disabled or destroyed gives no older one."""
        if not _NAME.fullmatch(name):
            raise bad_name(name, "Secret Manager takes up to 255 letters, digits, dashes and underscores")
        from google.api_core.exceptions import GoogleAPICallError, RetryError
        from google.auth.exceptions import GoogleAuthError

        problem: LooplineError
        try:
            return self._asked(name)
        except (GoogleAPICallError, RetryError) as error:
            problem = _answered(name, error)
        except GoogleAuthError as error:
            problem = _unasked(name, error)
        raise problem  # outside the handlers, so that nothing but what we say is told

    def close(self) -> None:
        """Forget the identity."""
        self._clients.clear()

    def _asked(self, name: str) -> bytes:
        """Ask over a channel of its own, which is closed again: gRPC's do not survive that a process forks."""
        from google.cloud.secretmanager_v1 import SecretManagerServiceClient

        credentials, found = self.client(_identity)
        with SecretManagerServiceClient(transport=self._transport(credentials)) as client:
            answer = client.access_secret_version(
                request={"name": f"{self._parent(found)}/secrets/{name}/versions/latest"},
                timeout=self.timeout_seconds,
                retry=None,
            )
            return bytes(answer.payload.data)

    def _parent(self, found: str | None) -> str:
        project = self.project or found
        if not project:
            raise InvalidEnvironment("no project is named for Secret Manager", "set 'project', or GOOGLE_CLOUD_PROJECT")
        return f"projects/{project}" + (f"/locations/{self.location}" if self.location else "")

    def _transport(self, credentials: Any) -> Any:
        import grpc
        from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
            SecretManagerServiceGrpcTransport,
        )

        host = self.endpoint
        if self.location and not host:
            host = f"secretmanager.{self.location}.rep.googleapis.com"
        trust = grpc.ssl_channel_credentials(self.authority.read_bytes()) if self.authority else None
        return SecretManagerServiceGrpcTransport(
            **({"host": host} if host else {}),
            credentials=credentials,
            ssl_channel_credentials=trust,
            always_use_jwt_access=True,
        )


def _identity() -> tuple[Any, str | None]:
    import google.auth

    credentials, project = google.auth.default(scopes=[_SCOPE])
    return credentials, project


def _answered(name: str, error: Any) -> LooplineError:
    kind = type(error).__name__
    if kind == "NotFound":
        return no_such(name, "Secret Manager")
    if kind == "FailedPrecondition":
        return Refused(f"the newest version of the secret {name!r} is disabled or destroyed", "enable it, or add one")
    if kind in {"PermissionDenied", "Forbidden"}:
        return refused(name, "Secret Manager", _RIGHTS)
    if kind in {"Unauthenticated", "Unauthorized"}:
        return refused(name, "Secret Manager", _SIGN_IN)
    if kind == "InvalidArgument":
        return bad_name(name, "Secret Manager does not take it; look at 'project' and 'location' too")
    return StoreUnavailable(f"Secret Manager does not answer: {kind}", "nothing: it is tried again")


def _unasked(name: str, error: Exception) -> LooplineError:
    kind = type(error).__name__
    if kind == "TransportError" or getattr(error, "retryable", False):
        return StoreUnavailable("Google's token service does not answer", "look whether it is reached from here")
    return refused(name, f"Google's client ({kind})", _SIGN_IN)
