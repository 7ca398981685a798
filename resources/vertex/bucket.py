"""Cloud Storage folder that holds tasks, answers and claims of Vertex AI jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from loopline.platform_core.errors import InvalidEnvironment
from loopline.resources.managed_jobs.folder import Folder
from loopline.resources.vertex.link import CALL_SECONDS, Link, status, words

T = TypeVar("T")
_NOT_FOUND, _CHANGED = 404, 412
NEW = 0
"""The generation of what is not there yet."""


class Bucket(Folder):
    """Objects below ``gs://bucket/prefix``."""

    def __init__(self, link: Link, store: str) -> None:
        self.link, self.store = link, store
        name, _, prefix = store.removeprefix("gs://").partition("/")
        self.bucket, self.prefix = link.storage.bucket(name), f"{prefix}/" if prefix else ""

    def put(self, name: str, content: bytes) -> None:
        """Write an object."""
        self._ask(lambda: self._upload(name, content, None), f"write {self.store}/{name}")

    def get(self, name: str) -> bytes | None:
        """Read an object; None: there is none."""
        found = self.get_versioned(name)
        return found[0] if found else None

    def names(self, beginning: str) -> dict[str, float]:
        """List objects."""

        def listed() -> dict[str, float]:
            found = self.link.storage.list_blobs(
                self.bucket, prefix=self.prefix + beginning, timeout=CALL_SECONDS, retry=None
            )
            return {one.name.removeprefix(self.prefix): one.updated.timestamp() for one in found}

        return self._ask(listed, f"list {self.store}/{beginning}") or {}

    def get_versioned(self, name: str) -> tuple[bytes, int] | None:
        """Read an object and its generation; None: there is none."""

        def got() -> tuple[bytes, int] | None:
            from google.cloud.exceptions import NotFound

            blob = self.bucket.get_blob(self.prefix + name, timeout=CALL_SECONDS, retry=None)
            if blob is None:
                return None
            try:
                content = blob.download_as_bytes(if_generation_match=blob.generation, timeout=CALL_SECONDS, retry=None)
            except NotFound:  # it went, or was replaced, in between
                return None
            return content, int(blob.generation)

        return self._ask(got, f"read {self.store}/{name}")

    def put_if(self, name: str, content: bytes, generation: int) -> int | None:
        """Write an object that is of this generation still, or ``NEW``; returns its new one. None: it is not."""
        return self._ask(lambda: self._upload(name, content, generation), f"write {self.store}/{name}")

    def drop_if(self, name: str, generation: int) -> None:
        """Delete an object that is of this generation still."""
        blob = self.bucket.blob(self.prefix + name)
        self._ask(
            lambda: blob.delete(if_generation_match=generation, timeout=CALL_SECONDS, retry=None),
            f"delete {self.store}/{name}",
        )

    def _upload(self, name: str, content: bytes, generation: int | None) -> int:
        blob = self.bucket.blob(self.prefix + name)
        blob.upload_from_string(
            content,
            content_type="application/octet-stream",
            if_generation_match=generation,
            timeout=CALL_SECONDS,
            retry=None,
        )
        return int(blob.generation)

    def _ask(self, call: Callable[[], T], what: str) -> T | None:
        """Ask; None: the object is not of the generation that was named."""
        from google.api_core.exceptions import GoogleAPICallError

        try:
            return self.link.asking.ask(call, what)
        except GoogleAPICallError as error:
            if status(error) == _CHANGED or (what.startswith("delete") and status(error) == _NOT_FOUND):
                return None
            where = "is not there" if status(error) == _NOT_FOUND else "cannot be used"
            raise InvalidEnvironment(
                f"compute: {self.store} {where}: {words(error)}",
                "make the bucket in the location of the environment's compute, or name another 'store'",
            ) from error
