"""Client of a Vertex AI endpoint: ``rawPredict``, with the caller's token."""

from __future__ import annotations

from typing import Any

from loopline.platform_core.contracts.caller import Caller
from loopline.platform_core.errors import ContractBroken, InvalidEnvironment, StoreUnavailable, one_line
from loopline.resources.managed_endpoints.naming import named

ANSWERED_BY = "X-Vertex-AI-Deployed-Model-Id"
"""The header of answers that a container gave, whatever their status."""
MOST_BYTES = 1_500_000
"""What the service takes of a request to a shared endpoint."""
_ANSWER_SECONDS = 70
_UNAUTHORIZED, _FORBIDDEN = 401, 403


class VertexCaller(Caller):
    """Asks one model at an endpoint's URL; the request's parameters name it."""

    def __init__(self, url: str, model: str, credentials: Any) -> None:
        from google.auth.transport.requests import AuthorizedSession

        self._url, self._model = f"{url}:rawPredict", model
        self._session = AuthorizedSession(credentials, max_refresh_attempts=1)

    def ask(self, body: bytes) -> tuple[int, bytes]:
        """Have the request handed on."""
        import requests
        from google.auth.exceptions import GoogleAuthError

        content = named(body, self._model)
        if len(content) > MOST_BYTES:
            raise ContractBroken(
                f"a request has {len(content)} bytes, Vertex AI takes {MOST_BYTES}", "ask for fewer rows at once"
            )
        try:
            answer = self._session.post(
                self._url, content, headers={"Content-Type": "application/json"}, timeout=_ANSWER_SECONDS
            )
        except (requests.RequestException, GoogleAuthError) as error:
            raise StoreUnavailable(
                f"serving: {self._url}: {one_line(error)}", "see that Google Cloud is reached from here, and who asks"
            ) from error
        if ANSWERED_BY not in answer.headers:
            raise _refused(self._url, answer.status_code, answer.text)
        return answer.status_code, answer.content

    def close(self) -> None:
        """Let the connections go."""
        self._session.close()


def _refused(url: str, status: int, said: str) -> StoreUnavailable | InvalidEnvironment:
    words = f"serving: {url}: {status}: {one_line(said)}"
    if status in {_UNAUTHORIZED, _FORBIDDEN}:
        return InvalidEnvironment(words, "give this identity aiplatform.endpoints.predict")
    return StoreUnavailable(words, "see that the endpoint serves: deploy the model, or look at its log")
