"""An application that asks the endpoint about orders: the Open Inference Protocol over one kept connection."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from datetime import datetime

    from loopline.demo.days import Order

Tensor = dict[str, object]
IDLE_SECONDS = 30.0
"""A connection that rested longer is opened anew: servers and what stands before them hang up on idle ones."""


@dataclass
class Tally:
    """Requests answered and failed so far, and the last trouble."""

    answered: int = 0
    failed: int = 0
    trouble: str = ""


class Client:
    """Sends one request an order and counts what comes back; nothing is tried twice."""

    def __init__(self, endpoint: str) -> None:
        parts = urlsplit(endpoint)
        self.path = f"{parts.path}/infer"
        self.connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=30)
        self.tally = Tally()
        self._used = time.monotonic()

    def ask(self, order: Order) -> None:
        """Ask about one order; anything but 200 is a failure."""
        try:
            status, body = self._post(request_body(order))
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()  # the next request opens it again
            status, body = 0, repr(error).encode()
        if status == http.client.OK:
            self.tally.answered += 1
        else:
            self.tally.failed += 1
            self.tally.trouble = f"{status}: {body[:200].decode(errors='replace')}"

    def close(self) -> None:
        """Hang up."""
        self.connection.close()

    def _post(self, body: bytes) -> tuple[int, bytes]:
        if time.monotonic() - self._used > IDLE_SECONDS:
            self.connection.close()
        self.connection.request("POST", self.path, body, {"Content-Type": "application/json"})
        response = self.connection.getresponse()
        answer = response.status, response.read()
        self._used = time.monotonic()
        return answer


def request_body(order: Order) -> bytes:
    """Write an order as an inference request: keys and what only the order itself tells."""
    inputs = [_tensor("customer_id", order.customer_id), _tensor("invoice", order.invoice)]
    inputs += [_tensor(name, value) for name, value in order.features.items()]
    request = {"id": order.invoice, "parameters": {"event_time": _text(order.event_time)}, "inputs": inputs}
    return json.dumps(request).encode()


def _tensor(name: str, value: object) -> Tensor:
    datatype = {str: "BYTES", int: "INT64", bool: "BOOL"}.get(type(value), "FP64")
    return {"name": name, "shape": [1], "datatype": datatype, "data": [value]}


def _text(moment: datetime) -> str:
    return moment.isoformat()
