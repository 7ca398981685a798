"""A strict fake of a Pub/Sub subscription: Google's own messages over gRPC, leases, and faults on demand.

Tests say what Cloud Storage would: fake-gcs-server tells nobody. Sources: google/pubsub/v1/pubsub.proto;
cloud.google.com/storage/docs/pubsub-notifications. What only this fake has shown is not shown for the service.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import empty_pb2
from google.pubsub_v1 import types as messages

from tests.emulators.google_fake import Code, Fault, GoogleFake, Method, RefusedError, known

MAX_MESSAGES = 1000
SUBSCRIPTION = "projects/kit/subscriptions/landing"


@dataclass
class _Held:
    attributes: dict[str, str]
    data: bytes
    lease: str = ""
    free_at: float = 0.0
    number: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass
class PubsubFake(GoogleFake):
    """One server with subscriptions; what is pulled and not acknowledged comes again after ``lease_seconds``."""

    subscriptions: set[str] = field(default_factory=lambda: {SUBSCRIPTION})
    lease_seconds: float = 30.0

    def __post_init__(self) -> None:
        """Start it."""
        self.held: dict[str, list[_Held]] = {name: [] for name in self.subscriptions}
        super().__post_init__()

    def methods(self) -> dict[str, Method]:
        """Answer these."""
        return {
            "/google.pubsub.v1.Subscriber/Pull": Method(messages.PullRequest, self.pull),
            "/google.pubsub.v1.Subscriber/Acknowledge": Method(messages.AcknowledgeRequest, self.acknowledge),
        }

    def tell(self, attributes: dict[str, str], data: bytes = b"{}", subscription: str = SUBSCRIPTION) -> None:
        """Publish a message."""
        with self.lock:
            self.held[subscription].append(_Held(attributes, data))

    # the methods

    def pull(self, request: Any, _: Fault | None) -> Any:
        """Lease messages that nobody has; it answers at once, as it is asked."""
        known(request, "subscription", "max_messages", "return_immediately")
        if not 0 < request.max_messages <= MAX_MESSAGES or not request.return_immediately:
            raise RefusedError(Code.INVALID_ARGUMENT, "this fake answers at once, with 1 to 1000 messages")
        answer = messages.PullResponse.pb(messages.PullResponse())
        with self.lock:
            free = [one for one in self._of(request) if one.free_at <= time.monotonic()][: request.max_messages]
            for one in free:
                one.lease, one.free_at = uuid.uuid4().hex, time.monotonic() + self.lease_seconds
                told = answer.received_messages.add(ack_id=one.lease)
                told.message.data, told.message.message_id = one.data, one.number
                told.message.attributes.update(one.attributes)
                told.message.publish_time.GetCurrentTime()
        return answer

    def acknowledge(self, request: Any, _: Fault | None) -> Any:
        """Let messages go, of which the lease still stands; the service says nothing of others."""
        known(request, "subscription", "ack_ids")
        if not request.ack_ids:
            raise RefusedError(Code.INVALID_ARGUMENT, "no ack ids")
        with self.lock:
            held = self._of(request)
            held[:] = [one for one in held if one.lease not in request.ack_ids or one.free_at <= time.monotonic()]
        return empty_pb2.Empty()

    def _of(self, request: Any) -> list[_Held]:
        if request.subscription not in self.held:
            raise RefusedError(Code.NOT_FOUND, f"Resource not found (resource={request.subscription}).")
        return self.held[request.subscription]
