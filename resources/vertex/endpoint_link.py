"""Vertex AI clients for endpoints and models, fork-safe, with error mapping."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import InvalidEnvironment, LooplineError, Overloaded
from loopline.resources.managed_jobs.retries import Asking
from loopline.resources.vertex.link import CALL_SECONDS, is_of_machines, judged, not_installed, signed_in, status, words

if TYPE_CHECKING:
    from loopline.resources.vertex.serving import VertexServing

NOT_FOUND = 404
_IN_THE_WAY = frozenset({400, NOT_FOUND, 409})
"""FAILED_PRECONDITION and INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS: what is so already, or cannot be now."""
PAUSE_SECONDS = 0.2
_FIX = "mend serving in the environment file: image, machine_type, service_account, kms_key"


class InTheWay(InvalidEnvironment):
    """The service does not do it as things stand: no error before somebody has looked how they are."""


class EndpointLink:
    """Clients of Vertex AI's services for endpoints and models."""

    def __init__(self, settings: VertexServing) -> None:
        self.patience_seconds = settings.api_patience_seconds
        self.asking = Asking("Google Cloud", judged, settings.api_patience_seconds)
        try:
            from google.api_core.client_options import ClientOptions
            from google.cloud.aiplatform_v1.services.endpoint_service import EndpointServiceClient
            from google.cloud.aiplatform_v1.services.model_service import ModelServiceClient
        except ImportError as error:
            raise not_installed("serving", error) from error
        self.credentials, self.project = signed_in(self.asking, settings.project, "serving")
        self.parent = f"projects/{self.project}/locations/{settings.location}"
        options = ClientOptions(api_endpoint=settings.api_url)
        said: dict[str, Any] = {"credentials": self.credentials, "transport": "rest", "client_options": options}
        self.endpoints, self.models = EndpointServiceClient(**said), ModelServiceClient(**said)

    def endpoint(self, name: str) -> str:
        """Return an endpoint's full name."""
        return f"{self.parent}/endpoints/{name}"

    def model(self, name: str) -> str:
        """Return a model's full name."""
        return f"{self.parent}/models/{name}"

    def call(self, method: Any, **request: Any) -> Any:
        """Call a method; of what is worth another try, until patience ends.

        Raises:
            InTheWay: the service said no: something is there, is not, or is going on, or it never takes it.
            Overloaded: a quota is used up. StoreUnavailable: no answer. InvalidEnvironment: any other refusal.
        """
        from google.api_core.exceptions import GoogleAPICallError

        try:
            return self._asked(method, request)
        except GoogleAPICallError as error:
            if status(error) in _IN_THE_WAY:
                raise InTheWay(words(error), _FIX) from error
            raise told(error, method.__name__) from error

    def found(self, method: Any, name: str) -> Any | None:
        """Get a thing by its name; None: it is not there."""
        from google.api_core.exceptions import GoogleAPICallError

        try:
            return self._asked(method, {"name": name})
        except GoogleAPICallError as error:
            if status(error) == NOT_FOUND:
                return None
            raise told(error, method.__name__) from error

    def operations(self, client: Any, name: str) -> Iterator[Any]:
        """List the operations of an endpoint or a model; of one that is not there, none."""
        from google.api_core.exceptions import GoogleAPICallError

        token = ""
        while True:
            request = {"name": name, "page_size": 100, "page_token": token}
            try:
                page = self._asked(client.list_operations, request)
            except GoogleAPICallError as error:
                if status(error) == NOT_FOUND:
                    return
                raise told(error, "list_operations") from error
            yield from page.operations
            if not (token := page.next_page_token):
                return

    def until(self, holds: Callable[[], bool]) -> bool:
        """Wait until something holds, as long as patience lasts; says whether it does."""
        end = time.monotonic() + self.patience_seconds
        while not holds():
            if time.monotonic() > end:
                return False
            time.sleep(PAUSE_SECONDS)
        return True

    def _asked(self, method: Any, request: Mapping[str, Any]) -> Any:
        return self.asking.ask(lambda: method(request=request, timeout=CALL_SECONDS, retry=None), method.__name__)

    def close(self) -> None:
        """Let the connections go."""
        self.endpoints.transport.close()
        self.models.transport.close()


def told(error: Exception, what: str) -> LooplineError:
    """Tell a refusal as one of ours."""
    said = f"serving: {what}: {status(error)}: {words(error)}"
    if is_of_machines(error):
        return Overloaded(said, "have that quota raised, or name another serving.machine_type", delay_seconds=300)
    return never(said)


def never(said: str) -> InvalidEnvironment:
    """Tell what the service would never take."""
    return InvalidEnvironment(said, _FIX)
