"""Errors for Triton calls that are not offered, with what to use instead."""

from __future__ import annotations

from loopline.platform_core.errors import BadRequest

_STATUS = 501
_INSTEAD = {
    "load": (
        "clients load no models here: a version goes live through its gates and its rollout",
        "let whoever runs the platform start a cycle: 'loopline cycle start <team>.<model>'",
    ),
    "unload": (
        "clients unload no models here",
        "let whoever runs the platform take a version back: 'loopline rollback <team>.<model>'",
    ),
    "memory": ("no memory is shared with callers", "send tensors with the request, as binary data if they are large"),
    "trace": ("clients do not set traces here", "set serving.gateway.traces in the environment file"),
    "log": ("clients do not set the server's log", "start the server with LOOPLINE_LOG=json, or read the access log"),
    "repository": ("there is one repository, and it has no name", "leave the repository's name out"),
    "stream": ("answers do not come as a stream", "call ModelInfer for each request; many may be underway at once"),
}


def unoffered(what: str) -> BadRequest:
    """Return the error of a call that is not offered: 501 over HTTP, UNIMPLEMENTED over gRPC."""
    return BadRequest(*_INSTEAD[what], status=_STATUS)
