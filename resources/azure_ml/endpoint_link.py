"""Azure ML client for endpoints, with error mapping."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import InvalidEnvironment, LooplineError, Overloaded, one_line
from loopline.resources.azure_ml.link import WorkspaceLink, code, is_of_workspace, status, words

if TYPE_CHECKING:
    from loopline.resources.azure_ml.settings import Place

PAUSE_SECONDS = 0.2
_OK, _NOT_FOUND = 200, 404
_IN_THE_WAY = frozenset({400, _NOT_FOUND, 409})
"""What is not there, goes on, or cannot be now; or what the service never takes."""
_MANAGER = "https://management.azure.com"
_FIX = "mend serving in the environment file: image, instance_type, identity, location"


class InTheWay(InvalidEnvironment):
    """The service does not do it as things stand: no error before somebody has looked how they are."""


class EndpointLink(WorkspaceLink):
    """The client of a workspace's endpoints."""

    def __init__(self, place: Place) -> None:
        super().__init__(place, "serving")
        from azure.core.pipeline import Pipeline
        from azure.core.pipeline.policies import BearerTokenCredentialPolicy
        from azure.core.pipeline.transport import RequestsTransport

        self._manager = place.endpoints.get("resource_manager", _MANAGER).rstrip("/")
        signed = BearerTokenCredentialPolicy(self.credential, f"{self._manager}/.default")
        self._operations = Pipeline(RequestsTransport(**self.trust), [signed])

    def begin(self, method: Callable[..., Any], *args: Any) -> str:
        """Begin an operation; returns the URL that tells how it goes, "" if the service gave none.

        Raises:
            InTheWay: the service said no: something is not there, or is going on, or it never takes it.
            Overloaded: a quota is used up. StoreUnavailable: no answer. InvalidEnvironment: any other refusal.
        """
        from azure.core.exceptions import HttpResponseError

        try:
            return str(self.call(method, *args, polling=False, cls=_told_at).result())
        except HttpResponseError as error:
            raise _judged(error, method.__name__) from error

    def ask(self, method: Callable[..., Any], *args: Any) -> Any:
        """Call a method that ends at once; errors as those of ``begin``."""
        from azure.core.exceptions import HttpResponseError

        try:
            return self.call(method, *args)
        except HttpResponseError as error:
            raise _judged(error, method.__name__) from error

    def found(self, method: Callable[..., Any], *name: str) -> Any | None:
        """Get a thing by its name; None: it is not there."""
        from azure.core.exceptions import HttpResponseError

        try:
            return self.call(method, *name)
        except HttpResponseError as error:
            if _is_absent(error, name[0]):
                return None
            raise _told(error, method.__name__) from error

    def deployments(self, endpoint: str) -> list[Any]:
        """List an endpoint's deployments; of one that is not there, none."""
        from azure.core.exceptions import HttpResponseError

        try:
            pages = self.call(self.azure_ml.online_deployments.list, endpoint).by_page()
            found: list[Any] = []
            while (page := self.asking.ask(lambda: next(pages, None), "list")) is not None:
                found += page
        except HttpResponseError as error:
            if _is_absent(error, endpoint):
                return []
            raise _told(error, "online_deployments.list") from error
        return found

    def failure(self, operation: str) -> str:
        """Ask why an operation has failed; "" if nobody knows any more, or does not tell us."""
        if not operation.startswith(f"{self._manager}/"):
            return ""
        from azure.core.exceptions import AzureError
        from azure.core.rest import HttpRequest

        try:
            answer = self._operations.run(HttpRequest("GET", operation)).http_response
            said = (answer.json() if answer.status_code == _OK else {}).get("error") or {}
        except (AzureError, ValueError, AttributeError):
            return ""
        return one_line(f"{said.get('code', '')}: {said.get('message', '')}").strip(": ")

    def until(self, holds: Callable[[], bool]) -> bool:
        """Wait until something holds, as long as patience lasts; says whether it does."""
        end = time.monotonic() + self.place.api_patience_seconds
        while not holds():
            if time.monotonic() > end:
                return False
            time.sleep(PAUSE_SECONDS)
        return True

    def close(self) -> None:
        """Let the connections go."""
        super().close()
        self._operations.__exit__()


def never(said: str) -> InvalidEnvironment:
    """Tell what the service would never take."""
    return InvalidEnvironment(said, _FIX)


def _told_at(answer: Any, *_: Any) -> str:
    return str(answer.http_response.headers.get("Azure-AsyncOperation") or "")


def _is_absent(error: Any, name: str) -> bool:
    """Say whether it is the thing that is not there, and not the workspace."""
    return status(error) == _NOT_FOUND and (not is_of_workspace(error) or name.lower() in words(error).lower())


def _judged(error: Exception, what: str) -> LooplineError:
    told = _told(error, what)
    if isinstance(told, Overloaded) or status(error) not in _IN_THE_WAY:
        return told
    return InTheWay(words(error), _FIX)


def _told(error: Exception, what: str) -> LooplineError:
    """Tell a refusal as one of ours."""
    said = f"serving: {what}: {status(error)}: {words(error)}"
    if "quota" in f"{code(error)} {words(error)}".lower():
        return Overloaded(said, "have that quota raised, or name another serving.instance_type", delay_seconds=300)
    return never(said)
