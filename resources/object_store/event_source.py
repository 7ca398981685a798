"""Event source on an object store: files that arrive below a prefix, which stay where they are."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import Field, PrivateAttr

from loopline.platform_core.contracts.event_source import Arrival, EventSource
from loopline.platform_core.errors import NotFound, Transient
from loopline.resources.folder import file_kinds
from loopline.resources.object_store.arrival_pieces import ArrivalPieces
from loopline.resources.object_store.landing_prefix import LandingPrefix
from loopline.resources.object_store.notifications import Notifications
from loopline.resources.object_store.objects import Objects
from loopline.resources.object_store.queues import notifications_of

if TYPE_CHECKING:
    import pyarrow as pa

STATE = ".arrivals"
TOLD_SECONDS = 10.0
"""For how long one look takes in what it is told of; the rest waits in the queue."""
LEVELS = 2  # a source is team/source
_log = logging.getLogger(__name__)


class ObjectStoreEventSource(EventSource):
    """Objects ``<url>/<team>/<source>/...`` (``s3://``, ``gs://``, ``az://``) of the kinds that a folder has.

    ``storage_options`` go to the store's client. What arrived is remembered below ``state``, a URL of the same store or
    ``<url>/.arrivals`` if left out. A look lists a source's objects, and reads each new one through once.

    With ``names_grow`` only names greater than the known ones are listed, and all of them each ``list_all_seconds``. So
    it is with ``notifications``, a queue in which the store tells of new objects: an SQS queue's URL, a subscription of
    Pub/Sub (``projects/<project>/subscriptions/<name>``), or an Azure storage queue's URL. ``notification_options`` go
    to that queue's client, such as its region or another endpoint.

    An object has arrived when it was written, or when the file was of which it is a copy (``mtime`` beside it, as
    rclone and gsutil write it).
    """

    extras = ("object-store",)
    url: str
    storage_options: dict[str, str] = Field(default_factory=dict)
    state: str = ""
    names_grow: bool = False
    notifications: str = ""
    notification_options: dict[str, str] = Field(default_factory=dict)
    list_all_seconds: float = Field(300.0, gt=0)
    _objects: Objects | None = PrivateAttr(default=None)
    _states: Objects | None = PrivateAttr(default=None)
    _prefixes: dict[str, LandingPrefix] = PrivateAttr(default_factory=dict)
    _queue: Notifications | None = PrivateAttr(default=None)

    def arrivals(self, source: str, known: Collection[str] = (), limit: int | None = None) -> Sequence[Arrival]:
        """List objects by when they arrived."""
        if self.notifications:
            self._take_in()
        return self._prefix(source).look(known)[:limit]

    @contextmanager
    def set_apart(self, name: str) -> Iterator[ObjectStoreEventSource]:
        """Give a prefix of its own in this one, of which no queue tells; its objects are deleted one by one."""
        where = {"url": f"{self.url.rstrip('/')}/{name}"}
        if self.state:
            where["state"] = f"{self.state.rstrip('/')}/{name}"
        try:
            yield self.with_settings(**where, notifications="")
        finally:
            for place in filter(None, (self.url, self.state)):
                Objects(place, self.storage_options).clear(name)

    def kit_fixtures(self) -> Mapping[str, Any]:
        """Deliver as those who copy files do."""
        from loopline.resources.object_store.delivery import ObjectDelivery

        return {"deliver": ObjectDelivery(self.url, self.storage_options)}

    def place(self, source: str) -> str:
        """Return the URL of the prefix."""
        return f"{self.url.rstrip('/')}/{source}"

    def lay(self, source: str, name: str, content: bytes, at: datetime) -> None:
        """Write an object as rclone copies a file: with its time beside it, since the store has its own clock."""
        self._store().write(f"{source}/{name}", content, {"mtime": f"{at.timestamp():.9f}"})

    def read(self, source: str, arrival: Arrival) -> pa.Table:
        """Read an object whose content is still that of the arrival."""
        where, reader = f"{self.place(source)}/{arrival.name}", file_kinds.reader_of(arrival.name)
        found = self._store().read(f"{source}/{arrival.name}")
        if found is None or hashlib.sha256(found[0]).hexdigest() != arrival.content:
            raise NotFound(f"{where} is gone or no longer what it was when it was listed", "list arrivals again")
        return reader(found[0], where)

    def _take_in(self) -> None:
        """Take in what the queue tells, of whichever source; it is let go once it is in the log.

        A queue that is away costs nothing but time: everything is listed meanwhile.
        """
        end = time.monotonic() + TOLD_SECONDS
        try:
            queue = self._told()
            while time.monotonic() < end and (told := queue.receive()):
                by_source: dict[str, list[str]] = {}
                for key in (each for one in told for each in one.keys):
                    *source, name = key.split("/", LEVELS)
                    if len(source) == LEVELS and not key.startswith("."):
                        by_source.setdefault("/".join(source), []).append(name)
                for source_name, names in by_source.items():
                    self._prefix(source_name).take_named(names)
                queue.done(told)
        except Transient as error:
            _log.warning("%s: its notifications cannot be had, so that everything is listed: %s", self.url, error)
            for prefix in self._prefixes.values():
                prefix.list_next()

    def _told(self) -> Notifications:
        if self._queue is None:
            self._queue = notifications_of(self.notifications, self.url, self.notification_options)
        return self._queue

    def _store(self) -> Objects:
        if self._objects is None:
            self._objects = Objects(self.url, self.storage_options)
        return self._objects

    def _prefix(self, source: str) -> LandingPrefix:
        if source not in self._prefixes:
            if self._states is None:
                self._states = Objects(self.state or f"{self.url.rstrip('/')}/{STATE}", self.storage_options)
            log = ArrivalPieces(self._states, source)
            self._prefixes[source] = LandingPrefix(
                self._store(),
                source,
                log,
                self.list_all_seconds if self.notifications or self.names_grow else 0,
                self.names_grow,
                bool(self.notifications),
            )
        return self._prefixes[source]
