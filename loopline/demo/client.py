"""Demo client: sends Open Inference Protocol requests to the endpoint, and counts answers and failures."""

from __future__ import annotations

import http
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopline.platform_core.errors import LooplineError

if TYPE_CHECKING:
    from loopline.demo.declared import Request
    from loopline.platform_core.contracts.caller import Caller

Tensor = dict[str, object]


@dataclass
class Tally:
    """Requests answered and failed so far, and the last trouble."""

    answered: int = 0
    failed: int = 0
    trouble: str = ""


class Client:
    """Sends one request after another and counts what comes back; nothing is tried twice."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.tally = Tally()

    def ask(self, request: Request) -> None:
        """Ask about one row; anything but 200 is a failure."""
        try:
            status, body = self.caller.ask(request_body(request))
        except LooplineError as error:
            status, body = 0, str(error).encode()
        if status == http.HTTPStatus.OK:
            self.tally.answered += 1
        else:
            self.tally.failed += 1
            self.tally.trouble = f"{status}: {body[:200].decode(errors='replace')}"

    def close(self) -> None:
        """Hang up."""
        self.caller.close()


def request_body(request: Request) -> bytes:
    """Write an inference request: keys and what only the asker can tell."""
    inputs = [_tensor(name, value) for name, value in (*request.keys.items(), *request.features.items())]
    parameters = {"event_time": request.event_time.isoformat()}
    return json.dumps({"id": request.request_id, "parameters": parameters, "inputs": inputs}).encode()


def _tensor(name: str, value: object) -> Tensor:
    """Write a value; a list of numbers is a vector of the one row."""
    many = isinstance(value, list | tuple)
    data = list(value) if isinstance(value, list | tuple) else [value]
    kinds = {type(one) for one in data}
    datatype = {str: "BYTES", int: "INT64", bool: "BOOL"}.get(kinds.pop(), "FP64") if len(kinds) == 1 else "FP64"
    return {"name": name, "shape": [1, len(data)] if many else [1], "datatype": datatype, "data": data}
