"""gRPC server on a port: inference, health and reflection services, within the server's limits."""

from __future__ import annotations

import grpc

from loopline.platform_core.foundation.tls import Tls
from loopline.platform_core.runtime.grpc.health import HEALTH, Health
from loopline.platform_core.runtime.grpc.messages import INFERENCE, SERVICE
from loopline.platform_core.runtime.grpc.reflection import Reflection
from loopline.platform_core.runtime.grpc.service import GrpcService
from loopline.platform_core.runtime.settings.limits import Limits

_IDLE_MS = 10 * 60 * 1000
_GRACE_SECONDS = 5.0
_WATCHERS_SHARE = 4
"""One in so many of the calls that may be underway may watch the server's health, which lasts."""


class GrpcPort:
    """The server on ``host:port``, which the workers share."""

    def __init__(self, service: GrpcService, address: str, limits: Limits, tls: Tls | None = None) -> None:
        self._service, self._address, self._limits, self._tls = service, address, limits, tls

    async def open(self) -> None:
        """Listen; called in the event loop that is to answer."""
        self._server = grpc.aio.server(
            options=[
                ("grpc.so_reuseport", 1),
                ("grpc.max_receive_message_length", self._limits.body_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.max_connection_idle_ms", _IDLE_MS),
                ("grpc.server_handshake_timeout_ms", int(self._limits.receive_seconds * 1000)),
                ("grpc.max_concurrent_streams", self._limits.requests),
            ],
            maximum_concurrent_rpcs=self._limits.requests,
        )
        self._health = Health(self._service.ready, SERVICE, max(1, self._limits.requests // _WATCHERS_SHARE))
        reflection = Reflection(self._service.enter, (INFERENCE, HEALTH))
        handlers = (self._service.handlers(), self._health.handlers(), *reflection.handlers())
        self._server.add_generic_rpc_handlers(handlers)
        if self._tls is None:
            self._server.add_insecure_port(self._address)
        else:
            self._server.add_secure_port(self._address, self._tls.for_grpc())
        await self._server.start()

    async def close(self) -> None:
        """Take no more requests, and wait for those that are underway."""
        self._health.end()
        await self._server.stop(_GRACE_SECONDS)
