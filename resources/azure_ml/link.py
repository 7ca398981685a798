"""Azure ML and Blob storage clients, fork-safe, with retries and error mapping."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from loopline.platform_core.errors import InvalidEnvironment, LooplineError, StoreUnavailable, one_line
from loopline.resources.azure.identity import identity
from loopline.resources.managed_jobs.retries import Again, Asking

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.resources.azure_ml.settings import Place, Settings

CALL_SECONDS = 30.0
_HISTORY_SECONDS = 10.0
_OK, _UNAUTHORIZED, _FORBIDDEN, _TOO_MANY, _SERVER_ERROR = 200, 401, 403, 429, 500
ML_SCOPE = "https://ml.azure.com/.default"
"""What a token is for by which the history is asked, and an endpoint."""
_HISTORIES = (".azureml.ms", ".azureml.us", ".ml.azure.cn")
"""Hosts to which a token for the history is sent."""
_OF_WORKSPACE = frozenset(
    {"ResourceNotFound", "ResourceGroupNotFound", "SubscriptionNotFound", "ParentResourceNotFound"}
)
_SIGN_IN = (
    "give this process an identity: workload identity (label the pod azure.workload.identity/use), or the machine's"
)
_GUIDE = "docs/how-to/train-on-azure-ml.md or serve-on-azure-ml.md"


class WorkspaceLink:
    """The client of a workspace, as the identity that Azure's own chain finds."""

    def __init__(self, place: Place, contract: str) -> None:
        self.asking = Asking("Azure", judged, place.api_patience_seconds)
        self.place = place
        try:
            from azure.mgmt.machinelearningservices import MachineLearningServicesMgmtClient
        except ImportError as error:
            raise InvalidEnvironment(
                f"{contract}: Azure's clients are not installed ({error})", "install the extra 'azure-ml'"
            ) from error
        once = _once()
        self.trust = {"connection_verify": str(place.authority)} if place.authority else {}
        self.credential = identity(disable_instance_discovery=place.own_cloud, **once)
        manager = place.endpoints.get("resource_manager")
        away = {"base_url": manager, "credential_scopes": [f"{manager.rstrip('/')}/.default"]} if manager else {}
        self.azure_ml = MachineLearningServicesMgmtClient(
            self.credential, place.subscription, **away, **once, **self.trust
        )

    def call(self, method: Callable[..., Any], *args: Any, **more: Any) -> Any:
        """Call a method of the workspace; of what is worth another try, until patience ends.

        Raises:
            HttpResponseError: the service said no in words that its caller knows (``status``).
            StoreUnavailable: it does not answer. InvalidEnvironment: it does not know us, or gives us no right.
        """
        where = self.place.resource_group, self.place.workspace
        return self.asking.ask(lambda: method(*where, *args, **more), method.__name__)

    def close(self) -> None:
        """Let the connections go."""
        self.azure_ml.close()
        self.credential.close()


class Link(WorkspaceLink):
    """Clients of Azure ML's jobs and of Blob storage."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, "compute")
        self.settings = settings
        from azure.core.pipeline import Pipeline
        from azure.core.pipeline.policies import BearerTokenCredentialPolicy
        from azure.core.pipeline.transport import RequestsTransport
        from azure.storage.blob import ContainerClient

        signed = BearerTokenCredentialPolicy(self.credential, ML_SCOPE)
        self._history = Pipeline(RequestsTransport(**_seconds(), **self.trust), [signed])
        blob = settings.endpoints.get("blob", f"https://{settings.account}.blob.core.windows.net")
        key = settings.account_key.get_secret_value()
        by_key = {"account_name": settings.account, "account_key": key}
        self.blobs = ContainerClient(blob, settings.container, credential=by_key if key else self.credential, **_once())

    def run_details(self, job: Any) -> Any:
        """Ask the workspace's history for the run of a job (``RunDetails`` as JSON); None: it has none, or none for us.

        It is waited for some seconds only: a job that has ended has its answer elsewhere.
        """
        base = self._history_of(job)
        if not base:
            return None
        from azure.core.exceptions import HttpResponseError
        from azure.core.rest import HttpRequest

        def asked() -> Any:
            request = HttpRequest("GET", f"{base}/history/v1.0{self.settings.workspace_id}/runs/{job.name}/details")
            answer = self._history.run(request).http_response
            if answer.status_code != _OK:
                raise HttpResponseError(response=answer)
            return answer.json()

        patience = min(_HISTORY_SECONDS, self.settings.api_patience_seconds)
        try:
            return Asking("Azure", judged, patience).ask(asked, "run_details")
        except (LooplineError, HttpResponseError, ValueError):
            return None

    def _history_of(self, job: Any) -> str:
        """Return where the history is: at the host of the job's tracking service, if it is Azure ML's."""
        if said := self.settings.endpoints.get("history"):
            return said
        tracking = (job.properties.services or {}).get("Tracking")
        host = urlsplit(str(tracking.endpoint)).hostname if tracking else None
        return f"https://{host}" if host and host.endswith(_HISTORIES) else ""

    def close(self) -> None:
        """Let the connections go."""
        super().close()
        self.blobs.close()
        self._history.__exit__()


def _seconds() -> dict[str, Any]:
    return {"connection_timeout": CALL_SECONDS, "read_timeout": CALL_SECONDS}


def _once() -> dict[str, Any]:
    return {"retry_total": 0, **_seconds()}


def status(error: Any) -> int:
    """Return the HTTP status of a refusal; 0: nobody answered."""
    return int(getattr(error, "status_code", None) or 0)


def code(error: Any) -> str:
    """Return what the service calls its refusal."""
    return str(getattr(getattr(error, "error", None), "code", None) or getattr(error, "error_code", None) or "")


def is_of_workspace(error: Any) -> bool:
    """Say whether it is the workspace that is not there, or what it lies in."""
    return code(error) in _OF_WORKSPACE


def words(error: Any) -> str:
    """Return a refusal in the service's words."""
    return one_line(str(getattr(getattr(error, "error", None), "message", None) or getattr(error, "message", error)))


def judged(error: Exception, what: str) -> Exception:
    """Say what a failed call is: worth another try (``Again``), an error of ours, or its caller's to judge."""
    from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError, ServiceRequestError

    if isinstance(error, HttpResponseError) and status(error):
        return _said(error, what)
    if isinstance(error, ClientAuthenticationError):
        return _unknown(f"{what}: {one_line(str(error.message))}")
    if isinstance(error, ServiceRequestError) and "authentication" in str(error).lower():
        return _unknown(f"{what}: {one_line(str(error))}")
    if isinstance(error, AzureError):
        return Again(StoreUnavailable(f"{what}: {one_line(str(error))}", "see whether Azure is reached from here"))
    return error


def _said(error: Any, what: str) -> Exception:
    told, found = f"{what}: {status(error)}: {words(error)}", status(error)
    if found == _TOO_MANY or found >= _SERVER_ERROR:
        return Again(StoreUnavailable(told, "try again later; ask for a higher rate of requests if it lasts"))
    if found == _UNAUTHORIZED:
        return _unknown(told)
    if found == _FORBIDDEN:
        return InvalidEnvironment(told, f"give this identity the right that is named: {_GUIDE}")
    return error if isinstance(error, Exception) else InvalidEnvironment(told, _GUIDE)


def _unknown(told: str) -> Exception:
    if "expired" in told.lower():
        fix = "sign in to Azure again, or give this process a managed identity, which renews itself"
        return StoreUnavailable(told, fix, delay_seconds=30)
    return InvalidEnvironment(told, _SIGN_IN)
