"""Blob container folder that holds tasks, answers and logs of Azure ML jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from loopline.platform_core.errors import InvalidEnvironment
from loopline.resources.azure_ml.link import Link, code, status, words
from loopline.resources.managed_jobs.folder import Folder

T = TypeVar("T")
_NOT_FOUND = 404
_NO_BLOB = "BlobNotFound"


class Container(Folder):
    """Objects below ``az://container/prefix``."""

    def __init__(self, link: Link) -> None:
        self.link, self.store, self.prefix = link, link.settings.store, link.settings.prefix
        self.blobs = link.blobs

    def put(self, name: str, content: bytes) -> None:
        """Write an object."""
        self._ask(lambda: self.blobs.upload_blob(self.prefix + name, content, overwrite=True), f"write {name}")

    def get(self, name: str) -> bytes | None:
        """Read an object; None: there is none."""
        return self._ask(lambda: self.blobs.download_blob(self.prefix + name).readall(), f"read {name}")

    def names(self, beginning: str) -> dict[str, float]:
        """List objects."""

        def listed() -> dict[str, float]:
            found = self.blobs.list_blobs(name_starts_with=self.prefix + beginning)
            return {one.name.removeprefix(self.prefix): one.last_modified.timestamp() for one in found}

        return self._ask(listed, f"list {beginning}") or {}

    def _ask(self, call: Callable[[], T], what: str) -> T | None:
        """Ask; None: there is no such object."""
        from azure.core.exceptions import HttpResponseError

        try:
            return self.link.asking.ask(call, f"{what} in {self.store}")
        except HttpResponseError as error:
            if status(error) == _NOT_FOUND and code(error) == _NO_BLOB:
                return None
            where = "is not there" if status(error) == _NOT_FOUND else "cannot be used"
            raise InvalidEnvironment(
                f"compute: {self.store} {where}: {words(error)}",
                "make the container in the storage account, or name another 'store'",
            ) from error
