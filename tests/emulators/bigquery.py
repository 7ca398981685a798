"""Runs the strict fake of BigQuery over HTTP, in a thread: whoever asks bears the token that he was given."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from tests.emulators.bigquery_fake import Bigquery, Refused, answer
from tests.emulators.http_server import Answer, Request, Serving, as_json

PROJECT, TOKEN = "kit", "ya29.kit"


@dataclass
class BigqueryServer:
    """Where it answers, and what it holds."""

    url: str
    fake: Bigquery = field(default_factory=Bigquery)
    token: str = TOKEN


@contextmanager
def bigquery_server() -> Iterator[BigqueryServer]:
    """Run one."""
    lock, running = threading.Lock(), BigqueryServer("")

    def answered(request: Request) -> Answer:
        parts = urlsplit(request.path)
        path, query = parts.path.removeprefix(f"/bigquery/v2/projects/{PROJECT}"), dict(parse_qsl(parts.query))
        try:
            if request.token != running.token:
                raise Refused(401, "authError", "Request had invalid authentication credentials.")  # noqa: TRY301
            with lock:
                return as_json(200, answer(running.fake, request.method, path, query, request.body))
        except Refused as refused:
            what = {"reason": refused.reason, "message": str(refused)}
            error = {"code": refused.status, "message": str(refused), "errors": [what]}
            return as_json(refused.status, {"error": error})

    with Serving(answered) as server:
        running.url = server.url
        yield running
