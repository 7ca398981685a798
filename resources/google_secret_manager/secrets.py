"""Secret store on Google Cloud Secret Manager."""

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

    extras = ("gcp",)
    can: ClassVar[frozenset[str]] = frozenset({REMOTE})

    project: str = ""
    location: str = ""
    endpoint: str = ""
    authority: Path | None = None

    def current(self, name: str) -> bytes:
        """Ask for the version that is the newest: one that is disabled or destroyed gives no older one."""
        if not _NAME.fullmatch(name):
            raise bad_name(name, "Secret Manager takes up to 255 letters, digits, dashes and underscores")
        from google.api_core.exceptions import GoogleAPICallError
        from google.auth.exceptions import GoogleAuthError
        from requests.exceptions import RequestException

        problem: LooplineError
        try:
            return self._asked(name)
        except GoogleAPICallError as error:
            problem = _answered(name, error)
        except GoogleAuthError as error:
            problem = _unasked(name, error)
        except RequestException as error:
            problem = _silent(type(error).__name__)
        raise problem  # outside the handlers, so that nothing but what we say is told

    def close(self) -> None:
        """Forget the identity."""
        self._clients.clear()

    def _asked(self, name: str) -> bytes:
        """Ask over HTTP: a process that has once asked over gRPC cannot ask again in a fork, which waits for ever."""
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
        from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
            SecretManagerServiceRestTransport,
        )

        host = self.endpoint
        if self.location and not host:
            host = f"secretmanager.{self.location}.rep.googleapis.com"
        how = {"host": host} if host else {}
        transport = SecretManagerServiceRestTransport(**how, credentials=credentials, always_use_jwt_access=True)
        if self.authority is not None:
            from loopline.resources.google_secret_manager.trust import trust

            trust(transport._session, self.authority)  # noqa: SLF001 - the client offers no other place
        return transport


def _identity() -> tuple[Any, str | None]:
    import google.auth

    credentials, project = google.auth.default(scopes=[_SCOPE])
    return credentials, project


def _answered(name: str, error: Any) -> LooplineError:
    kind = _status(error)
    if kind == "NOT_FOUND":
        return no_such(name, "Secret Manager")
    if kind == "FAILED_PRECONDITION":
        return Refused(f"the newest version of the secret {name!r} is disabled or destroyed", "enable it, or add one")
    if kind == "PERMISSION_DENIED":
        return refused(name, "Secret Manager", _RIGHTS)
    if kind == "UNAUTHENTICATED":
        return refused(name, "Secret Manager", _SIGN_IN)
    if kind == "INVALID_ARGUMENT":
        return bad_name(name, "Secret Manager does not take it; look at 'project' and 'location' too")
    return _silent(kind)


_OF_CODE = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}
"""What an answer means that has no status of the service in it, such as a proxy's."""


def _status(error: Any) -> str:
    """Return the status that the service named: several have one code of HTTP."""
    try:
        return str(error.response.json()["error"]["status"])
    except (AttributeError, KeyError, TypeError, ValueError):
        return _OF_CODE.get(error.code, f"HTTP {error.code}")


def _silent(kind: str) -> LooplineError:
    return StoreUnavailable(f"Secret Manager does not answer: {kind}", "nothing: it is tried again")


def _unasked(name: str, error: Exception) -> LooplineError:
    kind = type(error).__name__
    if kind == "TransportError" or getattr(error, "retryable", False):
        return StoreUnavailable("Google's token service does not answer", "look whether it is reached from here")
    return refused(name, f"Google's client ({kind})", _SIGN_IN)
