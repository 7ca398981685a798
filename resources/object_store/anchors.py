"""Anchor store on an object store whose bucket retains what is written."""

from __future__ import annotations

from pydantic import Field, PrivateAttr

from loopline.platform_core.contracts.anchors import Anchors
from loopline.resources.object_store.objects import Objects


class ObjectStoreAnchors(Anchors):
    """Objects ``<url>/<tenant>/<20 digits>`` (``s3://``, ``gs://``, ``az://``), each written if there is none.

    ``storage_options`` go to the store's client. That nobody deletes an object or replaces it is the bucket's to hold:
    give it a default retention (S3: Object Lock in compliance mode) and this identity no right to delete.
    """

    extras = ("object-store",)
    url: str
    storage_options: dict[str, str] = Field(default_factory=dict)
    _objects: Objects | None = PrivateAttr(default=None)

    def create(self, name: str, content: bytes) -> bool:
        """Write an object if there is none."""
        return self._store().write_if(name, content, None)

    def content(self, name: str) -> bytes | None:
        """Read an object."""
        found = self._store().read(name)
        return found[0] if found else None

    def names(self, tenant: str) -> list[str]:
        """List the tenant's objects."""
        keys = [found.key for found in self._store().listed(tenant)]
        return sorted(key for key in keys if key.rpartition("/")[2].isdigit())

    def _store(self) -> Objects:
        if self._objects is None:
            self._objects = Objects(self.url, self.storage_options)
        return self._objects
