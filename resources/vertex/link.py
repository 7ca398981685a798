"""Vertex AI and Cloud Storage clients, fork-safe, with retries and error mapping."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import InvalidEnvironment, StoreUnavailable, one_line
from loopline.resources.managed_jobs.retries import Again, Asking

if TYPE_CHECKING:
    from loopline.resources.vertex.settings import Settings

CALL_SECONDS = 30.0
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_TOO_MANY, _UNAUTHORIZED, _FORBIDDEN, _SERVER_ERROR = 429, 401, 403, 500
_REQUEST = re.compile(r"^[A-Z]+ https?://\S+: ")
_PACE = "per minute", "per second", "rate limit", "ratelimit"
"""How a refusal goes on that is of requests, not of machines."""
_SIGN_IN = "give this process an identity: Workload Identity of its service account, or the instance's"


class Link:
    """Clients of Vertex AI's job service and of Cloud Storage, as the identity that Google's own chain finds."""

    def __init__(self, settings: Settings) -> None:
        self.asking = Asking("Google Cloud", judged, settings.api_patience_seconds)
        try:
            from google.api_core.client_options import ClientOptions
            from google.cloud import storage
            from google.cloud.aiplatform_v1.services.job_service import JobServiceClient
        except ImportError as error:
            raise not_installed("compute", error) from error
        credentials, self.project = signed_in(self.asking, settings.project, "compute")
        self.parent = f"projects/{self.project}/locations/{settings.location}"
        url = settings.endpoints.get("vertex", f"https://{settings.location}-aiplatform.googleapis.com")
        self.jobs = JobServiceClient(
            credentials=credentials, transport="rest", client_options=ClientOptions(api_endpoint=url)
        )
        self.storage = storage.Client(
            project=self.project,
            credentials=credentials,
            client_options=ClientOptions(api_endpoint=settings.endpoints.get("storage")),
        )

    def call(self, method: Any, **request: Any) -> Any:
        """Call a method of the job service; of what is worth another try, until patience ends.

        Raises:
            GoogleAPICallError: the service said no in words that its caller knows (``status``).
            StoreUnavailable: it does not answer. InvalidEnvironment: it does not know us, or gives us no right.
        """
        return self.asking.ask(lambda: self.once(method, **request), method.__name__)

    @staticmethod
    def once(method: Any, **request: Any) -> Any:
        """Call a method of the job service once."""
        return method(request=request, timeout=CALL_SECONDS, retry=None)

    def close(self) -> None:
        """Let the connections go."""
        self.jobs.transport.close()
        self.storage.close()


def signed_in(asking: Asking, project: str | None, what: str) -> tuple[Any, str]:
    """Find who this process is by Google's own chain, and the project: its own where none is named.

    Raises:
        InvalidEnvironment: it has no identity, or no project is known.
    """
    import google.auth

    credentials, found = asking.ask(lambda: google.auth.default(scopes=[_SCOPE]), "sign in")
    if not (project or found):
        raise InvalidEnvironment(f"{what}: no project is known", "set 'project', or GOOGLE_CLOUD_PROJECT")
    return credentials, str(project or found)


def not_installed(what: str, error: ImportError) -> InvalidEnvironment:
    """Tell that the extra is missing."""
    return InvalidEnvironment(f"{what}: Google's clients are not installed ({error})", "install the extra 'vertex'")


def status(error: Exception) -> int:
    """Return the HTTP status of a refusal; 0: nobody answered."""
    return int(getattr(error, "code", None) or 0)


def words(error: Exception) -> str:
    """Return a refusal in the service's words, without the request that the client puts before them."""
    return _REQUEST.sub("", one_line(getattr(error, "message", None) or error))


def is_of_machines(error: Exception) -> bool:
    """Say whether there are too many machines, not too many requests."""
    return status(error) == _TOO_MANY and not any(said in words(error).lower() for said in _PACE)


def judged(error: Exception, what: str) -> Exception:
    """Say what a failed call is: worth another try (``Again``), an error of ours, or its caller's to judge."""
    import requests
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.exceptions import GoogleAuthError

    if isinstance(error, GoogleAPICallError):
        return _said(error, what)
    if isinstance(error, GoogleAuthError):
        return _of_identity(error, what)
    if isinstance(error, requests.RequestException):
        return Again(StoreUnavailable(f"{what}: {one_line(error)}", "see whether Google Cloud is reached from here"))
    return error


def _said(error: Exception, what: str) -> Exception:
    told, code = f"{what}: {status(error)}: {words(error)}", status(error)
    slower = code in {_TOO_MANY, _FORBIDDEN} and any(said in words(error).lower() for said in _PACE)
    if slower or code >= _SERVER_ERROR:
        return Again(StoreUnavailable(told, "try again later; ask for a higher rate of requests if it lasts"))
    if code == _UNAUTHORIZED:
        return _unknown(told)
    if code == _FORBIDDEN:
        return InvalidEnvironment(
            told, "give this identity the right that is named: docs/how-to/train-on-vertex.md, serve-on-vertex.md"
        )
    return error


def _of_identity(error: Exception, what: str) -> Exception:
    told = f"{what}: {one_line(error)}"
    if type(error).__name__ == "TransportError" or getattr(error, "retryable", False):
        return Again(StoreUnavailable(told, "see whether Google's token service is reached from here"))
    return _unknown(told)


def _unknown(told: str) -> Exception:
    if "expired" in told.lower():
        fix = "sign in to Google Cloud again, or give this process a service account, which renews itself"
        return StoreUnavailable(told, fix, delay_seconds=30)
    return InvalidEnvironment(told, _SIGN_IN)
