"""Notifications of Azure Blob storage by a storage queue, as Event Grid sends them: its own schema, or CloudEvents.

Sources, below https://learn.microsoft.com/azure: event-grid/event-schema-blob-storage,
event-grid/cloud-event-schema, event-grid/handler-storage-queues (messages are Base64).
"""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from loopline.platform_core.errors import InvalidEnvironment, StoreUnavailable, one_line
from loopline.resources.object_store.notifications import Landing, Notifications, Told

QUEUE = re.compile(r"https?://([^/]+\.queue\.[^/]+|[^/]+/[a-z0-9]+)/[a-z0-9-]+")
"""A queue of an account, or one that is named by path, as emulators do."""
AT_ONCE = 32
"""What the service gives at most."""
HIDDEN_SECONDS = 120
"""For how long nobody else is told what was received."""
ANSWER_SECONDS = 5
AWAY_SECONDS = 30.0
_KEY = {"account_name", "account_key"}
_WRITTEN = ("Microsoft.Storage.BlobCreated", "Microsoft.Storage.BlobRenamed")
_BEGUN = ("CreateFile", "SftpCreate")
"""Of a file that is still being written; when it is whole it is told of again."""
_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_ANOTHERS = ("MessageNotFound", "PopReceiptMismatch")
_SUBJECT = re.compile(r"/blobServices/default/containers/([^/]+)/blobs/(.+)", re.DOTALL)
_log = logging.getLogger(__name__)


class QueueNotifications(Notifications):
    """Messages of one queue about blobs below ``az://container/prefix``; who asks is found by Azure's own rules.

    The options ``account_name`` and ``account_key`` are for emulators. A message that is about something else than a
    new blob there is let go; one that nobody understands stays until it is as old as the queue keeps messages.
    """

    def __init__(self, queue: str, url: str, options: Mapping[str, str]) -> None:
        try:
            from azure.storage.queue import QueueClient
        except ImportError as error:
            problem = f"{queue}: azure-storage-queue is not installed ({error})"
            raise InvalidEnvironment(problem, "install the extra 'azure'") from error
        if strange := options.keys() - _KEY:
            fix = f"leave it out; there are {sorted(_KEY)}"
            raise InvalidEnvironment(f"{queue}: a storage queue has no option {sorted(strange)}", fix)
        self._queue, self._landing = queue, Landing.of(url)
        # the client would ask again after a quarter of a minute, and what the lost answer told would stay hidden
        limits = {"connection_timeout": ANSWER_SECONDS, "read_timeout": ANSWER_SECONDS, "retry_total": 0}
        try:
            self._client: Any = QueueClient.from_queue_url(queue, credential=_credential(options), **limits)
        except ValueError as error:
            raise InvalidEnvironment(
                f"{queue}: {one_line(error)}", "name a queue's URL, and a key that is one"
            ) from error

    def receive(self) -> Sequence[Told]:
        """Receive 32 at most."""
        with self._translated():
            messages = self._client.receive_messages(messages_per_page=AT_ONCE, visibility_timeout=HIDDEN_SECONDS)
            page = list(next(messages.by_page(), ()))
        told = []
        for message in page:
            try:
                keys = self._keys(_event(message.content))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                _log.warning("%s: a message is no notification of Event Grid's: %s", self._queue, one_line(error))
                continue
            told.append(Told(keys, json.dumps([message.id, message.pop_receipt])))
        return told

    def done(self, told: Sequence[Told]) -> None:
        """Delete them; one that was told to somebody else meanwhile is theirs."""
        from azure.core.exceptions import HttpResponseError

        with self._translated():
            for one in told:
                number, receipt = json.loads(one.receipt)
                try:
                    self._client.delete_message(number, receipt)
                except HttpResponseError as error:
                    if getattr(error, "error_code", "") not in _ANOTHERS:
                        raise

    def _keys(self, event: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the keys below the prefix that an event says were written."""
        kind = event["type"] if "specversion" in event else event["eventType"]
        subject, about = str(event["subject"]), event.get("data") or {}
        if kind not in _WRITTEN or about.get("api") in _BEGUN:
            return ()
        found = _SUBJECT.fullmatch(subject)
        if found is None:
            raise ValueError(f"{subject!r} is no blob's")
        # nothing is said of whether names are quoted there: what is not there costs one look
        return self._landing.below(found[1], dict.fromkeys([found[2], unquote(found[2])]))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        from azure.core.exceptions import AzureError

        try:
            yield
        except AzureError as error:
            raise StoreUnavailable(f"{self._queue}: {one_line(error)}", _fix(error), AWAY_SECONDS) from error


def _fix(error: Any) -> str:
    """Say what to do, by the status of the answer; who signs in first gets none."""
    from azure.core.exceptions import ClientAuthenticationError

    status = getattr(error, "status_code", None)
    if status in _REFUSED or isinstance(error, ClientAuthenticationError):
        return "give this identity 'Storage Queue Data Message Processor' on the queue, and set this machine's clock"
    if status == HTTPStatus.NOT_FOUND:
        return "create the queue, or name another"
    return "nothing if it passes; else see whether the queue is reached from here"


def _event(content: Any) -> dict[str, Any]:
    """Read a message: JSON, in Base64 where Event Grid has written it."""
    text = str(content)
    with suppress(ValueError):  # what is no Base64 may be JSON as it is
        text = base64.b64decode(text, validate=True).decode()
    event = json.loads(text)
    if isinstance(event, list):
        [event] = event
    if not isinstance(event, dict):
        raise TypeError("it is no object")
    return event


def _credential(options: Mapping[str, str]) -> Any:
    if options:
        return dict(options)
    from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential()
