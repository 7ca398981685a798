"""Whoever asks an endpoint all the while, by a connection that is kept, as applications do."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

PATIENCE_SECONDS = 30.0
PAUSE_SECONDS = 0.03
_CLOSED = (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError)


@dataclass
class Caller:
    """Asks about entities ``0 .. entities - 1`` at random; knows who answered how often and first, and what went wrong.

    A connection that was idle may be closed by whoever is at its other end: then it asks once more, on a new one.
    """

    port: int
    model: str
    entity: str
    entities: int
    answered: Counter[str] = field(default_factory=Counter)
    first_at: dict[str, float] = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    _connection: http.client.HTTPConnection | None = None

    def ask(self, entity: int) -> tuple[int, dict[str, Any]]:
        """Ask once; what cannot be asked has status 0."""
        inputs = [{"name": self.entity, "shape": [1], "datatype": "INT64", "data": [entity]}]
        body = json.dumps({"inputs": inputs})
        is_kept = self._connection is not None
        try:
            return self._asked(body)
        except _CLOSED as error:
            self._forget()
            if not is_kept:
                return 0, {"error": repr(error)}
        except (OSError, http.client.HTTPException) as error:
            self._forget()
            return 0, {"error": repr(error)}
        try:
            return self._asked(body)
        except (OSError, http.client.HTTPException) as error:
            self._forget()
            return 0, {"error": repr(error)}

    def _asked(self, body: str) -> tuple[int, dict[str, Any]]:
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        self._connection.request("POST", f"/v2/models/{self.model}/infer", body)
        reply = self._connection.getresponse()
        said, is_ours = reply.read(), reply.headers.get_content_type() == "application/json"
        return reply.status, json.loads(said) if is_ours else {"error": said.decode()}

    def _forget(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def run(self, ended: threading.Event) -> None:
        """Ask some twenty times a second until told to stop."""
        chance = random.Random(1)
        while not ended.wait(PAUSE_SECONDS):
            status, said = self.ask(chance.randrange(self.entities))
            if status == http.client.OK:
                version = said["parameters"]["version"]
                self.answered[version] += 1
                self.first_at.setdefault(version, time.time())
                self.ids.append(said["id"])
            else:
                self.failed.append(f"{status}: {said}")


@contextmanager
def asking(caller: Caller) -> Iterator[Caller]:
    """Let it ask in a thread of its own."""
    ended = threading.Event()
    thread = threading.Thread(target=caller.run, args=(ended,))
    thread.start()
    try:
        yield caller
    finally:
        ended.set()
        thread.join()
