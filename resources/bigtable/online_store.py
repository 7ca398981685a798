"""Online store on Bigtable: one row a view and entity, written by conditional mutation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from loopline.resources.nosql.store import DocumentStore

if TYPE_CHECKING:
    from loopline.resources.nosql.store import Service


class BigtableOnlineStore(DocumentStore):
    """Rows ``<view>#<xx>-<key>`` of one ``table`` of an ``instance`` of ``project``, a cell of its ``family`` each.

    Who asks is found by Google's own rules (workload identity, a service account, ``gcloud auth``); ``project`` too
    when it is left out. ``app_profile`` routes requests, to a single cluster: the instance's own profile if left out.
    ``endpoint`` is another host than the service's, or ``http://host:port`` of an emulator. ``prefix`` stands before
    the name of each view. A read ends within ``timeout_seconds``; a request of a write within ``write_seconds``, and a
    write that is throttled, or meets other writers, gives up when it got nowhere for ``patience_seconds``.
    """

    extras = ("gcp",)
    instance: str = Field(pattern="^[a-z][a-z0-9-]{4,31}[a-z0-9]$")
    project: str | None = None
    table: str = Field("loopline", pattern="^[A-Za-z0-9_][A-Za-z0-9_.-]{0,49}$")
    family: str = Field("rows", pattern="^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$")
    app_profile: str = ""
    prefix: str = Field("", pattern="^[A-Za-z0-9.-]*$")
    endpoint: str | None = None

    def _below(self, name: str) -> Mapping[str, str]:
        return {"prefix": f"{self.prefix}{name}."}

    def _open(self) -> tuple[Service, int]:
        from loopline.resources.bigtable.link import Link, Reach
        from loopline.resources.bigtable.service import WRITES_AT_ONCE, BigtableService

        reach = Reach(self.project, self.instance, self.table, self.family, self.app_profile, self.endpoint)
        return BigtableService(Link(reach), self.write_seconds, self.prefix), WRITES_AT_ONCE
