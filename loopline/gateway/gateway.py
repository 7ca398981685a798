"""Gateway middleware of the inference server: admission, request ids, access log and traces.

Health is answered to anybody, everything else (metrics too) to known tenants only, once there are keys. Where nothing
of this is asked for the application stands alone, and a request costs no more than before.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from loopline.gateway.access_log import AccessLog
from loopline.gateway.admission import Admission, Refusal
from loopline.gateway.api_keys import Authenticator
from loopline.gateway.quota import Allowances
from loopline.gateway.recorders import record
from loopline.platform_core.runtime.request_context import REQUEST_CONTEXT, RequestContext
from loopline.platform_core.runtime.settings.gateway import GatewaySettings
from loopline.platform_core.runtime.wire.http import Application, Message, Receive, Scope, Send, refusal, respond
from loopline.platform_core.runtime.wire.protocol import made_id

if TYPE_CHECKING:
    from loopline.platform_core.runtime.prediction_log.log import Record

REQUEST_ID = b"x-request-id"
_ID = re.compile(rb"[A-Za-z0-9._:@/+=-]{1,128}")
_OPEN = frozenset({"/v2/health/live", "/v2/health/ready"})
_MODELS = ["v2", "models"]
_STATISTICS = [*_MODELS, "stats"]
"""Of all models that the caller may ask; no model has such a name, for each has its team's before a dot."""


class Exchange(NamedTuple):
    """One request and its answer, as far as anybody may keep it: no key, no feature, no body."""

    method: str
    path: str
    model: str
    tenant: str
    status: int
    bytes_out: int
    ms: float
    own_id: str
    record: Record | None
    headers: dict[bytes, bytes]

    @property
    def request_id(self) -> str:
        """Return the id under which it is logged: the body's own if it has one."""
        return self.record.request_id if self.record else self.own_id


class Recorder(Protocol):
    """Keeps something of each exchange."""

    def keep(self, exchanges: Sequence[Exchange]) -> None:
        """Keep those that were answered at once."""

    def close(self) -> None:
        """Let go of what is held back."""


class Guards(NamedTuple):
    """What stands before every request: admission, who keeps what, and the counts of refusals by reason."""

    admission: Admission
    recorders: Sequence[Recorder]
    refused: Counter[str]


class Gateway:
    """The application behind admission; recorders keep what goes through or not, ``refused`` counts what does not."""

    def __init__(
        self, inner: Application, admission: Admission, recorders: Sequence[Recorder], refused: Counter[str]
    ) -> None:
        self._inner, self._admission, self._recorders, self._refused = inner, admission, recorders, refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan."""
        if scope["type"] != "http":
            await self._inner(scope, receive, self._closing(send))
            return
        started = time.perf_counter()
        headers = dict(scope["headers"])
        noted = RequestContext(request_id(headers))
        token = REQUEST_CONTEXT.set(noted)
        sending = _Sending(send, noted)
        tenant, model = "", _model(scope["path"])
        try:
            try:
                if scope["path"] not in _OPEN:
                    admitted = self._admission.identify(model, headers)
                    tenant, noted.may_ask = admitted.tenant, admitted.may_ask
                    self._admission.charge(admitted, model)
            except Refusal as refused:
                tenant = refused.tenant
                self._refused[refused.reason] += 1
                sending.extra = refused.headers
                await respond(refusal(refused.error), headers, sending)
            except Exception as error:  # noqa: BLE001 - who may ask is not known, and that is an answer too
                await respond(refusal(error), headers, sending)
            else:
                await self._inner(scope, receive, sending)
        finally:
            REQUEST_CONTEXT.reset(token)
            if self._recorders:
                asked, said = (scope["method"], scope["path"], model, tenant), (sending.status, sending.size)
                ms = (time.perf_counter() - started) * 1e3
                record(self._recorders, [Exchange(*asked, *said, ms, noted.request_id, noted.record, headers)])

    def _closing(self, send: Send) -> Send:
        """Close the recorders before the lifespan is told to be over: the process ends at once then, by a signal."""

        async def last(message: Message) -> None:
            if message["type"] == "lifespan.shutdown.complete":
                for recorder in self._recorders:
                    await asyncio.to_thread(recorder.close)
            await send(message)

        return last


class _Sending:
    """Sends on, with the request's id among the headers, and remembers status and size."""

    __slots__ = ("_context", "_send", "extra", "size", "status")

    def __init__(self, send: Send, noted: RequestContext) -> None:
        self._send, self._context = send, noted
        self.status, self.size = 0, 0
        self.extra: Sequence[tuple[bytes, bytes]] = ()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (REQUEST_ID, self._id()), *self.extra]
        else:
            self.size += len(message.get("body", b""))
        await self._send(message)

    def _id(self) -> bytes:
        return id_out(self._context.request_id, self._context.record)


def of(settings: GatewaySettings, root: Path) -> tuple[Admission, Sequence[Recorder]]:
    """Make admission and the recorders that an environment asks for.

    Raises:
        ContractBroken: the file of keys is none. InvalidEnvironment: traces go nowhere that is known.
    """
    recorders: list[Recorder] = []
    if settings.access_log is not None:
        recorders.append(AccessLog(settings.access_log))
    if settings.traces is not None:
        from loopline.gateway.tracing import Tracer

        recorders.append(Tracer.to(settings.traces, settings.traces_share))
    authenticator = Authenticator(settings.keys) if settings.keys is not None else None
    return Admission(authenticator, Allowances(root / "allowances")), recorders


def request_id(headers: dict[bytes, bytes]) -> str:
    """Return the id that came among the headers, if it can be one; else a new one.

    ``new_id`` would not do: a request that came behind another one on its connection begins inside of that.
    """
    given = headers.get(REQUEST_ID)
    return made_id() if given is None or not _ID.fullmatch(given) else given.decode()


def id_out(own: str, kept: Record | None) -> bytes:
    """Return the id that was logged; one that cannot be a header's value gives way to ours."""
    if kept is None or kept.request_id is own:
        return own.encode()
    logged = kept.request_id.encode(errors="replace")
    return logged if _ID.fullmatch(logged) else own.encode()


def _model(path: str) -> str:
    """Return the model that a path asks, "" if none."""
    parts = path.strip("/").split("/")  # as the application takes paths apart: what it serves must not pass unseen
    return parts[2] if parts[:2] == _MODELS and len(parts) > len(_MODELS) and parts != _STATISTICS else ""
