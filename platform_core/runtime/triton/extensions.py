"""Triton's HTTP extensions: repository index, model configuration and statistics; the rest is refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from loopline.platform_core.errors import BadRequest, NotFound
from loopline.platform_core.runtime.triton.repository import Repository
from loopline.platform_core.runtime.triton.unoffered import unoffered
from loopline.platform_core.runtime.wire.http import Response, as_json


class _Index(msgspec.Struct):
    ready: bool = False


_read_index = msgspec.json.Decoder(_Index).decode


class Extensions:
    """Answers what is no part of the protocol itself."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    async def answer(self, method: str, parts: list[str], body: Callable[[], Awaitable[bytes]]) -> Response | None:
        """Answer a request; None if its path is no extension's, or knows another method.

        Raises:
            NotFound: the model, version or region is unknown. BadRequest: the body is none, or (501) not offered.
        """
        match method, parts:
            case "GET", ["v2", "models"]:
                return as_json({"models": self._repository.names()})
            case "GET", ["v2", "models", "stats"]:
                return as_json({"model_stats": await self._repository.statistics()})
            case "GET", ["v2", "models", model, *rest]:
                return await self._about(model, rest)
            case "POST", ["v2", "repository", "index"]:
                return as_json(self._repository.index(ready_only=_ready_only(await body())))
        return _unoffered(method, parts)

    async def _about(self, model: str, rest: list[str]) -> Response | None:
        match rest:
            case ["config"]:
                return as_json(self._repository.config(model))
            case ["versions", version, "config"]:
                return as_json(self._repository.config(model, version))
            case ["stats"]:
                return as_json({"model_stats": await self._repository.statistics(model)})
            case ["versions", version, "stats"]:
                return as_json({"model_stats": await self._repository.statistics(model, version)})
        return _unoffered("GET", ["v2", "models", model, *rest])


def _ready_only(body: bytes) -> bool:
    if not body.strip():
        return False
    try:
        return _read_index(body).ready
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadRequest(f"no request for the index: {error}", 'send {"ready": true}, or nothing') from error


def _unoffered(method: str, parts: list[str]) -> Response | None:
    match parts:
        case ["v2", "repository", *rest]:
            return _managed(method, rest)
        case ["v2", ("systemsharedmemory" | "cudasharedmemory"), *rest]:
            return _memory(method, rest)
        case ["v2", "trace", "setting"] | ["v2", "models", _, "trace", "setting"]:
            raise unoffered("trace")
        case ["v2", "logging"]:
            raise unoffered("log")
    return None


def _managed(method: str, rest: list[str]) -> Response | None:
    match method, rest:
        case "POST", ["models", _, ("load" | "unload") as what]:
            raise unoffered(what)
        case "POST", [_, "index"] | [_, "models", _, "load" | "unload"]:
            raise unoffered("repository")
    return None


def _memory(method: str, rest: list[str]) -> Response | None:
    """Say truthfully that no region is registered: clients of Triton clear all of them before they begin."""
    match method, rest:
        case "GET", ["status"]:
            return as_json([])
        case "GET", ["region", name, "status"]:
            raise NotFound(f"no shared memory {name!r} is registered", "send tensors with the request")
        case "POST", ["unregister"] | ["region", _, "unregister"]:
            return Response(b"")
        case "POST", ["region", _, "register"]:
            raise unoffered("memory")
    return None
