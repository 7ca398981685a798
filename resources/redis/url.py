"""Validation of Redis URLs; a misread one could show a part of its password."""

from __future__ import annotations

import re

_SERVER = r"rediss?://([^/?#\t\r\n]*@)?(\[[0-9A-Fa-f:.]+\]|[^/?#@:\[\]\s]*)(:\d{1,5})?"
_ONE = re.compile(rf"{_SERVER}(/\d*)?(\?\S*)?|unix://\S+")
_CLUSTER = re.compile(rf"(?=rediss?://[^/?]){_SERVER}(/0?)?(\?\S*)?")
_WORDS = "in the password %40 is @, %2F is /, and what ${secret://name} gives is written so by itself"


def of_server(url: str) -> str:
    """Return the URL of a server, or of a socket.

    Raises:
        ValueError: it is none, and is not shown.
    """
    return _held(url, _ONE, "redis://[user:password@]host[:port][/db], rediss://... or unix://path")


def of_cluster(url: str) -> str:
    """Return the URL of a server of a cluster, which has no databases but one.

    Raises:
        ValueError: it is none, and is not shown.
    """
    return _held(url, _CLUSTER, "redis://[user:password@]host[:port] or rediss://...")


def _held(url: str, form: re.Pattern[str], words: str) -> str:
    if not form.fullmatch(url):
        raise ValueError(f"is not {words}; {_WORDS}")
    return url
