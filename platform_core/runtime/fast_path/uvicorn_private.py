"""Private names of uvicorn that we use, in one place: an upgrade breaks this module and no other.

``tests/platform_core/runtime/test_uvicorn_private.py`` names what is gone. ``pyproject.toml`` bounds the version.
"""

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

__all__ = ["STATUS_LINE", "HttpToolsProtocol", "RequestResponseCycle"]
