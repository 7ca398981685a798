"""Client of an Azure ML endpoint: its scoring URI, with a token or the endpoint's key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.platform_core.contracts.caller import Caller
from loopline.platform_core.errors import ContractBroken, InvalidEnvironment, LooplineError, StoreUnavailable, one_line
from loopline.resources.azure_ml.link import ML_SCOPE
from loopline.resources.managed_endpoints.naming import named

if TYPE_CHECKING:
    from loopline.resources.azure_ml.endpoints import OnlineEndpoints

STATUS = "ms-azureml-model-error-statuscode"
"""The header that bears the status of a container's answer that was not 200; the service's own is 424 then."""
_ANSWER_SECONDS = 190
"""The service waits 180 s for an answer at most."""
_OK, _UNAUTHORIZED, _FORBIDDEN, _TOO_LARGE = 200, 401, 403, 413


class AzureMLCaller(Caller):
    """Asks one model at an endpoint; the request's parameters name it."""

    def __init__(self, service: OnlineEndpoints, endpoint: str, model: str) -> None:
        import requests

        self._service, self._endpoint, self._model = service, endpoint, model
        self._session, self._key = requests.Session(), ""
        self._trust = str(service.settings.authority) if service.settings.authority else True

    def ask(self, body: bytes) -> tuple[int, bytes]:
        """Have the request handed on."""
        import requests
        from azure.core.exceptions import AzureError

        content, url = named(body, self._model), self._service.url(self._endpoint)
        try:
            headers = {"Authorization": f"Bearer {self._token()}", "Content-Type": "application/json"}
            said: dict[str, Any] = {"headers": headers, "timeout": _ANSWER_SECONDS, "verify": self._trust}
            answer = self._session.post(url, content, **said)
        except (requests.RequestException, AzureError) as error:
            raise StoreUnavailable(
                f"serving: {url}: {one_line(error)}", "see that the endpoint is reached from here, and who asks"
            ) from error
        if answer.status_code == _OK:
            return _OK, answer.content
        if STATUS in answer.headers:
            return int(answer.headers[STATUS]), answer.content
        if answer.status_code == _UNAUTHORIZED:
            self._key = ""  # it may have been made anew
        raise _refused(url, answer.status_code, answer.text)

    def close(self) -> None:
        """Let the connections go."""
        self._session.close()

    def _token(self) -> str:
        if self._service.settings.auth == "key":
            self._key = self._key or self._service.key(self._endpoint)
            return self._key
        return str(self._service.link.credential.get_token(ML_SCOPE).token)


def _refused(url: str, status: int, said: str) -> LooplineError:
    words = f"serving: {url}: {status}: {one_line(said)}"
    if status in {_UNAUTHORIZED, _FORBIDDEN}:
        right = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/score/action"
        return InvalidEnvironment(words, f"give this identity {right} on the endpoint")
    if status == _TOO_LARGE:
        return ContractBroken(words, "ask for fewer rows at once")
    return StoreUnavailable(words, "see that the endpoint serves: deploy the model, or look at its log")
