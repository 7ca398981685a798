"""Audit entries as lines of ArcSight's Common Event Format (CEF:0), for SIEMs.

https://docs.microfocus.com/doc/1917/cef (Implementing ArcSight Common Event Format, revision 26)::

    CEF:0|vendor|product|version|event class|name|severity|key=value key=value
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loopline.platform_core.audit.entry import AuditEntry

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""What a reader of lines may take for the end of one, or a terminal for an order, such as to write backwards."""
_DONE, _DENIED = 3, 6
"""Severities, of 0 to 10."""
_LONG, _CUSTOM, _SHORT, _ID = 1023, 4000, 63, 40
"""Most characters of a value, as the format's dictionary says of its keys; what is longer is cut."""


@cache
def release() -> str:
    """Return Loopline's version, read once: from a file, which takes longer than all the rest of a line."""
    return version("loopline")


def line(entry: AuditEntry, seq: int) -> str:
    """Return an entry as one line without its end; what CEF has no key for stands in custom strings, each labelled."""
    denied = entry.outcome == "denied"
    told = {
        "rt": str(int(datetime.fromisoformat(entry.recorded_at).timestamp() * 1000)),
        "suser": entry.who[:_LONG],
        "act": entry.what[:_SHORT],
        "outcome": "failure" if denied else "success",
        "msg": entry.reason[:_LONG],
        "sourceServiceName": entry.source[:_LONG],
        "externalId": f"{entry.tenant}/{seq}"[-_ID:],
    }
    custom = (
        ("about", entry.about),
        ("version", entry.version),
        ("policy", entry.policy),
        ("on behalf of", entry.on_behalf_of),
        ("cycle", entry.cycle),
        ("trace", entry.trace),
    )
    for number, (label, value) in enumerate(custom, 1):
        told |= {f"cs{number}": value[:_CUSTOM], f"cs{number}Label": label} if value else {}
    name = entry.what.replace(".", " ").replace("_", " ")
    header = ("Loopline", "Loopline", release(), entry.what, name, str(_DENIED if denied else _DONE))
    extension = " ".join(f"{key}={_value(value)}" for key, value in told.items() if value)
    return "|".join(["CEF:0", *map(_field, header), extension])


def _field(text: str) -> str:
    r"""Write a field of the header: ``\`` and ``|`` are escaped, and a line's end has no way to be written."""
    return _plain(text.replace("\\", "\\\\").replace("|", "\\|"))


def _value(text: str) -> str:
    r"""Write a value: ``\`` and ``=`` are escaped, lines' ends are written as ``\n`` and ``\r``."""
    escaped = text.replace("\\", "\\\\").replace("=", "\\=").replace("\n", "\\n").replace("\r", "\\r")
    return _plain(escaped)


def _plain(text: str) -> str:
    return _CONTROL.sub(" ", text.encode("utf-8", "replace").decode())
