"""Collector as an ASGI application: an event is acknowledged once its record is on disk."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from threading import Event as Signal
from threading import Thread
from typing import TYPE_CHECKING, Protocol

from loopline.collector import events, records
from loopline.collector.events import Event
from loopline.collector.pairing import Pairing
from loopline.platform_core.errors import BadRequest, LooplineError
from loopline.platform_core.foundation import histogram
from loopline.platform_core.runtime.prediction_log.collected import MODEL, VERSION
from loopline.platform_core.runtime.prediction_log.log import PredictionLog, Record
from loopline.platform_core.runtime.states import Worker
from loopline.platform_core.runtime.wire.http import (
    METRICS_TYPE,
    Bodies,
    Disconnected,
    Response,
    as_json,
    refusal,
    respond,
)

if TYPE_CHECKING:
    from loopline.platform_core.runtime.wire.http import Receive, Scope, Send

BODY_BYTES, HELD_BYTES = 16 * 1024 * 1024, 64 * 1024 * 1024
SHIP_SECONDS = 1.0
_LOG = logging.getLogger(__name__)
Role = Callable[[str, str], str]
"""Says which role a version of a model has now."""


class Ships(Protocol):
    """What sends the log away."""

    def step(self) -> int:
        """Send what has come; returns how many bytes are still unsent."""


class Collector:
    """Puts events together and writes what they tell below ``root``; one process, since both events must meet."""

    def __init__(self, root: Path, name: str, role: Role, ships: Ships, drain_seconds: float) -> None:
        self._worker, self._log = Worker(root, name), PredictionLog(root, name)
        self._role, self._ships, self._drain_seconds = role, ships, drain_seconds
        self._pairing, self._bodies = Pairing(), Bodies(BODY_BYTES, HELD_BYTES)
        self.counts: Counter[str] = Counter()
        self._ended = Signal()
        self._shipping = Thread(target=self._ship, daemon=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        headers = dict(scope["headers"])
        try:
            response = await self._answer(scope, headers, receive)
        except Disconnected:
            return
        except Exception as error:  # noqa: BLE001 - every failure is told as the protocol wants it
            if isinstance(error, BadRequest):
                self.counts["refused"] += 1
                _LOG.warning("an event is not taken: %s", error)
            response = refusal(error)
        await respond(response, headers, send)

    async def _answer(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> Response:
        if scope["method"] == "POST":
            await self.take(headers, await self._bodies.read(headers, receive))
            return as_json({})
        if scope["path"] == "/metrics":
            return Response("\n".join([*self._lines(), ""]).encode(), content_type=METRICS_TYPE)
        known = scope["path"] in {"/v2/health/live", "/v2/health/ready"}
        return as_json({}, HTTPStatus.OK if known else HTTPStatus.NOT_FOUND)

    async def take(self, headers: dict[bytes, bytes], body: bytes) -> None:
        """Take one event; once its other side is here, write the record.

        Raises:
            BadRequest: it is no event, or tells nothing that could be logged. StoreUnavailable: the disk is full.
        """
        event = events.read(headers, body)
        self.counts["events"] += 1
        met = self._pairing.meet(event, time.monotonic())
        if met is None:
            return
        try:
            model, record = await asyncio.to_thread(self._understood, *met)
            self._log.write(model, record)
        except BadRequest:
            raise
        except BaseException:
            self._pairing.part(event, met[0] if event.is_answer else met[1], time.monotonic())
            raise
        self.counts["records"] += 1

    def _understood(self, request: Event, answer: Event) -> tuple[str, Record]:
        """Make the record, in a thread: bodies may be long, and the role may have to be asked for."""
        notes = records.notes(request, answer)
        return records.record(request, answer, self._role(notes[MODEL], notes[VERSION]))

    def _lines(self) -> Iterator[str]:
        counted: dict[str, tuple[str, int]] = {
            "events": ("Events that were taken.", self.counts["events"]),
            "records": ("Requests that were logged.", self.counts["records"]),
            "refused": ("Events that tell nothing that could be logged.", self.counts["refused"]),
            "lost": ("Events whose other side never came, or could be one of several.", self._pairing.lost),
        }
        for name, (text, value) in counted.items():
            yield from histogram.head(f"loopline_collector_{name}_total", "counter", text)
            yield f"loopline_collector_{name}_total {value}"

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._shipping.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._log.close()
        self._worker.leave()
        self._ended.set()
        await asyncio.to_thread(self._shipping.join, self._drain_seconds)
        await send({"type": "lifespan.shutdown.complete"})

    def _ship(self) -> None:
        """Bring what was written to the disk and away, every second; at the end until nothing is unsent."""
        while True:
            is_last = self._ended.is_set()
            unsent = self._step()
            if is_last and not unsent:
                return
            self._ended.wait(SHIP_SECONDS)
            if is_last:
                time.sleep(SHIP_SECONDS)

    def _step(self) -> int:
        try:
            self._worker_beats()
            return self._ships.step()
        except (LooplineError, OSError):
            _LOG.exception("the log is not sent now, and is tried again")
            return 1

    def _worker_beats(self) -> None:
        if not self._ended.is_set():
            self._log.sync()
            self._worker.beat()
