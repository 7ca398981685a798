"""Gateway for gRPC: admission, request ids and recorders, with the key in the call's metadata."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from loopline.gateway.admission import Admission, Refusal
from loopline.gateway.api_keys import Admitted
from loopline.gateway.gateway import REQUEST_ID, Exchange, Recorder, request_id
from loopline.gateway.recorders import record
from loopline.platform_core.errors import BadRequest, LooplineError
from loopline.platform_core.runtime.request_context import REQUEST_CONTEXT, RequestContext
from loopline.platform_core.runtime.wire.http import status_of

if TYPE_CHECKING:
    import grpc

OPEN = frozenset({"ServerLive", "ServerReady"})
_OK, _FAILED, _GONE = 200, 500, 0


class GrpcGateway:
    """Stands before each call; what it keeps of one has HTTP's status, so that one log and one alert serve both."""

    def __init__(self, admission: Admission, recorders: Sequence[Recorder], refused: Counter[str]) -> None:
        self._admission, self._recorders, self._refused = admission, recorders, refused

    async def through(
        self, name: str, asked: Any, call: Callable[[Any], Awaitable[Any]], context: grpc.aio.ServicerContext
    ) -> Any:
        """Answer a call if its tenant may ask.

        Raises:
            LooplineError: what the call raises; BadRequest with status 401, 403 or 429 when it goes no further.
        """
        started, headers = time.perf_counter(), _headers(context)
        noted = RequestContext(request_id(headers))
        token = REQUEST_CONTEXT.set(noted)
        context.set_trailing_metadata(((REQUEST_ID.decode(), noted.request_id),))
        tenant, model, status = "", _model(name, asked), _FAILED
        try:
            if name not in OPEN:
                admitted = self._admit(model, headers, context)
                tenant, noted.may_ask = admitted.tenant, admitted.may_ask
            answer = await call(asked)
            status = _OK
        except asyncio.CancelledError:  # the caller hung up, or its deadline has passed
            status = _GONE
            raise
        except LooplineError as error:
            status = status_of(error)
            raise
        else:
            return answer
        finally:
            REQUEST_CONTEXT.reset(token)
            if self._recorders:
                ms = (time.perf_counter() - started) * 1e3
                call_of = "GRPC", f"/{name}", model, tenant
                seen = Exchange(*call_of, status, 0, ms, noted.request_id, noted.record, headers)
                record(self._recorders, [seen])

    def _admit(self, model: str, headers: dict[bytes, bytes], context: grpc.aio.ServicerContext) -> Admitted:
        try:
            return self._admission.admit(model, headers)
        except Refusal as refused:
            self._refused[refused.reason] += 1
            more = [(name.decode(), value.decode()) for name, value in refused.headers]
            context.set_trailing_metadata((*context.trailing_metadata(), *more))
            raise BadRequest(refused.error.problem, refused.error.fix, status=refused.error.status) from None


def _model(name: str, asked: Any) -> str:
    """Return the model that a message names, "" if none."""
    return str(getattr(asked, "model_name", "") or (getattr(asked, "name", "") if name.startswith("Model") else ""))


def _headers(context: grpc.aio.ServicerContext) -> dict[bytes, bytes]:
    return {
        name.encode(): value if isinstance(value, bytes) else value.encode()
        for name, value in context.invocation_metadata() or ()
    }
