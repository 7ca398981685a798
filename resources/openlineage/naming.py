"""OpenLineage dataset names, by where a dataset lies, as the specification says.

https://openlineage.io/docs/spec/naming says how; a dataset that lies nowhere is named in this installation's namespace.
"""

from __future__ import annotations

from typing import NamedTuple

ALIKE = {"s3a": "s3", "s3n": "s3", "gcs": "gs"}
"""Schemes of one store, and the one that names it."""
ROOTED = frozenset({"hdfs"})
"""Schemes whose names begin with a slash."""


class Named(NamedTuple):
    """A dataset's namespace and its name there."""

    namespace: str
    name: str


def named(namespace: str, name: str, place: str) -> Named:
    """Name a dataset by its place; in ``namespace`` where it has none."""
    if not place:
        return Named(namespace, name)
    scheme, is_url, rest = place.partition("://")
    if not is_url or scheme == "file":
        return Named("file", rest or place)
    authority, _, path = rest.partition("/")
    return Named(f"{ALIKE.get(scheme, scheme)}://{authority}", f"/{path}" if scheme in ROOTED else path)
