"""Kubernetes API client, with sign-in as the environment says and retries."""

from __future__ import annotations

import json
import math
import os
import threading
import time
from collections.abc import Callable
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

from loopline.platform_core.errors import InvalidEnvironment, StoreUnavailable
from loopline.resources.kubernetes.deadline import WAIT_SECONDS, write_line

if TYPE_CHECKING:
    from loopline.resources.kubernetes.settings import SignIn

T = TypeVar("T")
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 10.0
_CALL_SECONDS, _LATE_SECONDS = 30, 5
"""How long an answer may take, and the end of a watch that the server ends by itself."""
_LATELY_SECONDS = 60
_UNTYPED = "failed to create typed patch object"
"""What the server says, with code 500, of an object that its kind's schema does not fit: another try says the same."""
_BUSY = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT})


class Link:
    """One signed-in client, of the process that made it: connections are not shared with a fork."""

    def __init__(self, settings: SignIn) -> None:
        from kubernetes import client

        self.pid = os.getpid()
        self.patience_seconds = settings.api_patience_seconds
        self.api = client.ApiClient(_signed_in(settings))
        self.core, self.batch = client.CoreV1Api(self.api), client.BatchV1Api(self.api)
        self.refusal = client.ApiException
        self.away_since: float | None = None
        self.told = False
        self._listed: dict[str, tuple[float, list[Any]]] = {}
        self._listing = threading.Lock()

    @cached_property
    def _dynamic(self) -> Any:
        from kubernetes.dynamic import DynamicClient

        class BoundedClient(DynamicClient):  # type: ignore[misc]
            """Waits no longer for what kinds there are than for anything else: discovery takes no time limit."""

            def request(self, method: str, path: str, body: Any = None, **how: Any) -> Any:
                return super().request(method, path, body, **{"_request_timeout": _CALL_SECONDS, **how})

        return BoundedClient(self.api)

    def resource(self, api_version: str, kind: str) -> Any:
        """Return what acts on a kind by its name; the API is asked once which kinds there are.

        Raises:
            kubernetes.dynamic.exceptions.ResourceNotFoundError: the cluster knows no such kind.
            StoreUnavailable: it stayed away for ``api_patience_seconds``.
        """
        return self.call(lambda **_: self._dynamic.resources.get(api_version=api_version, kind=kind))

    def call(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call, again and again while the server is away or busy.

        Raises:
            StoreUnavailable: it stayed away for ``api_patience_seconds``.
            kubernetes.client.ApiException: it said no.
        """
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        began, pause = time.monotonic(), _FIRST_PAUSE_SECONDS
        while True:
            try:
                answer = call(*args, **{"_request_timeout": _CALL_SECONDS, **kwargs})
            except ApiException as error:
                is_over = error.status not in _BUSY and error.status < HTTPStatus.INTERNAL_SERVER_ERROR
                if is_over or _UNTYPED in str(error.body):
                    raise
                away: Exception = error
            except (HTTPError, OSError) as error:
                away = error
            else:
                self._is_back()
                return answer
            self._is_away(began, away)
            if time.monotonic() > began + self.patience_seconds:
                raise StoreUnavailable(
                    f"the Kubernetes API was away for {self.patience_seconds:g} s: {away}",
                    "look at the API server; the Job goes on, and the same key finds it again",
                ) from away
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def call_or_none(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call as ``call`` does; None if there is no such thing."""
        from kubernetes.client import ApiException

        try:
            return self.call(call, *args, **kwargs)
        except ApiException as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def allowed(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> list[Any]:
        """List as ``call`` does; nothing if we may not look."""
        from kubernetes.client import ApiException

        try:
            return list(self.call(call, *args, **kwargs).items)
        except ApiException as error:
            if error.status == HTTPStatus.FORBIDDEN:
                return []
            raise

    def lately(self, call: Callable[..., Any], **kwargs: Any) -> list[Any]:
        """List as ``allowed`` does, or give what it was within the last minute, to all who ask in this process.

        It is listed from the API server's memory, which may be a moment behind.
        """
        with self._listing:
            at, found = self._listed.get(call.__name__, (-math.inf, []))
            if time.monotonic() - at > _LATELY_SECONDS:
                found = self.allowed(call, resource_version="0", **kwargs)
                self._listed[call.__name__] = time.monotonic(), found
            return found

    def wait_for_change(self, namespace: str, selector: str, version: str, seconds: int) -> None:
        """Sleep until a pod with the labels changes after ``version``, and for so many seconds at most."""
        from urllib3.exceptions import HTTPError

        began = time.monotonic()
        try:
            with self.core.list_namespaced_pod(
                namespace,
                label_selector=selector,
                resource_version=version,
                watch=True,
                timeout_seconds=seconds,
                _preload_content=False,
                _request_timeout=seconds + _LATE_SECONDS,
            ) as changes:
                changes.read(1)
        except (HTTPError, OSError, self.refusal) as error:
            if not isinstance(error, self.refusal):
                self._is_away(began, error)
            time.sleep(max(0.0, min(_FIRST_PAUSE_SECONDS, seconds - time.monotonic() + began)))

    def _is_away(self, since: float, error: Exception) -> None:
        """Tell once that nothing is known of what runs, when that has been so for a while."""
        self.away_since = self.away_since or since
        if not self.told and time.monotonic() - self.away_since > WAIT_SECONDS:
            self.told = True
            write_line(f"the Kubernetes API does not answer; what runs goes on, and is asked about again ({error})")

    def _is_back(self) -> None:
        if self.told and self.away_since:
            write_line(f"the Kubernetes API answers again, after {time.monotonic() - self.away_since:.0f} s")
        self.away_since, self.told = None, False

    def close(self) -> None:
        """Let the connections go."""
        self.api.close()


def api_message(error: Any) -> str:
    """Return the API server's own words of a refusal."""
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return f"{error.status} {error.reason}"


def is_unknown_path(error: Any) -> bool:
    """Say whether the API server knows nothing of the kind, which it says in plain text; of a lost object in JSON."""
    return bool(error.status == HTTPStatus.NOT_FOUND) and api_message(error) == f"{error.status} {error.reason}"


def _signed_in(settings: SignIn) -> Any:
    from kubernetes import client, config

    found = client.Configuration()
    found.retries = 0  # each of urllib3's own three would wait as long as the first for a server that hangs
    try:
        if settings.kubeconfig is None and "KUBERNETES_SERVICE_HOST" in os.environ:
            config.load_incluster_config(client_configuration=found)
        else:
            file = str(settings.kubeconfig) if settings.kubeconfig else None
            config.load_kube_config(file, settings.context, client_configuration=found, persist_config=False)
    except (config.ConfigException, OSError) as error:
        raise InvalidEnvironment(
            f"no way to sign in to Kubernetes: {error}",
            "set kubeconfig (and context), or run in a pod with a service account",
        ) from error
    return found
