"""Notifications of Google Cloud Storage by Pub/Sub, as the bucket itself sends them.

Source: https://cloud.google.com/storage/docs/pubsub-notifications (a message's attributes say what it is about).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from loopline.platform_core.errors import InvalidEnvironment, Permanent, StoreUnavailable
from loopline.platform_core.foundation.one_a_process import OneAProcess
from loopline.resources.google_cloud.channel import transport_of
from loopline.resources.google_cloud.failure import Asked, translated
from loopline.resources.object_store.notifications import Landing, Notifications, Told

SUBSCRIPTION = re.compile(r"projects/[^/]+/subscriptions/[^/]+")
EMULATOR = "PUBSUB_EMULATOR_HOST"
"""By which Google's tools say where an emulator runs."""
AT_ONCE = 100
ANSWER_SECONDS = 10
AWAY_SECONDS = 30.0
_OPTIONS = {"endpoint"}
_WRITTEN = "OBJECT_FINALIZE"
_log = logging.getLogger(__name__)


class PubsubNotifications(Notifications):
    """Messages of one subscription about objects below ``gs://bucket/prefix``; who asks is found by Google's own rules.

    The option ``endpoint`` is another host, or ``http://host:port`` of an emulator. A message that is about something
    else than a new object there is let go; one that nobody understands stays, for the subscription's dead-letter topic.
    """

    def __init__(self, queue: str, url: str, options: Mapping[str, str]) -> None:
        try:
            import google.pubsub_v1  # noqa: F401 - whether it is there
        except ImportError as error:
            problem = f"{queue}: google-cloud-pubsub is not installed ({error})"
            raise InvalidEnvironment(problem, "install the extra 'gcp'") from error
        if strange := options.keys() - _OPTIONS:
            raise InvalidEnvironment(f"{queue}: Pub/Sub has no option {sorted(strange)}", "leave it out, or 'endpoint'")
        self._queue, self._landing, self._endpoint = queue, Landing.of(url), options.get("endpoint")
        self._client = OneAProcess(self._connected)  # a channel does not live on in a fork
        self._asked = Asked(
            queue,
            "create the subscription, or name another",
            "grant this identity pubsub.subscriptions.consume on the subscription (roles/pubsub.subscriber)",
        )

    def receive(self) -> Sequence[Told]:
        """Pull a hundred at most; the service may give fewer than it has."""
        request = {"subscription": self._queue, "max_messages": AT_ONCE, "return_immediately": True}
        with self._told_as_away():
            answer = self._client.get().pull(request, timeout=ANSWER_SECONDS, retry=None)
        told = []
        for one in answer.received_messages:
            keys = self._keys(one.message.attributes)
            if keys is None:
                _log.warning(
                    "%s: a message is no notification of Cloud Storage's: %s", self._queue, one.message.message_id
                )
            else:
                told.append(Told(keys, one.ack_id))
        return told

    def done(self, told: Sequence[Told]) -> None:
        """Acknowledge them; what comes too late comes again."""
        if told:
            request = {"subscription": self._queue, "ack_ids": [one.receipt for one in told]}
            with self._told_as_away():
                self._client.get().acknowledge(request, timeout=ANSWER_SECONDS, retry=None)

    def _keys(self, about: Mapping[str, str]) -> tuple[str, ...] | None:
        """Return the keys below the prefix that a message says were written; None if it says nothing."""
        kind, bucket, key = (about.get(name) for name in ("eventType", "bucketId", "objectId"))
        if not kind or not bucket or not key:
            return None
        return self._landing.below(bucket, [key]) if kind == _WRITTEN else ()

    def _connected(self) -> Any:
        from google.pubsub_v1.services.subscriber import SubscriberClient
        from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

        transport, _ = transport_of(SubscriberGrpcTransport, self._endpoint, EMULATOR)
        return SubscriberClient(transport=transport)

    @contextmanager
    def _told_as_away(self) -> Iterator[None]:
        """Tell every failure as one of a queue that is away: files are listed meanwhile."""
        try:
            with translated(self._asked):
                yield
        except Permanent as error:
            raise StoreUnavailable(error.problem, error.fix, AWAY_SECONDS) from error
