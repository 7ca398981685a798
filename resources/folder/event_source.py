"""Event source on a folder: files that land in it, which stay where they are."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import PrivateAttr

from loopline.platform_core.contracts.event_source import REDACTS, EventSource
from loopline.platform_core.errors import ContractBroken, NotFound
from loopline.platform_core.foundation.files import lent
from loopline.resources.folder import file_kinds
from loopline.resources.folder.landing_folder import LandingFolder, names, shown

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.contracts.event_source import Arrival


class FolderEventSource(EventSource):
    """Files ``<root>/<team>/<source>/*`` of the kinds in ``file_kinds``: CSV, JSON lines and Parquet, packed or not.

    A file's modification time says when it arrived. Who writes a file writes it under another name first
    (``.name``, ``name.tmp``, ``name.part``) and renames it. What is written under its own name is taken once nobody has
    written to it for ``still_seconds``. Whatever else lies there is listed as well, and refused with its name when it
    is read, so that somebody hears of it; but not names that begin with a dot, nor marks as ``_SUCCESS``.
    """

    can: ClassVar[frozenset[str]] = frozenset({REDACTS})

    root: str
    still_seconds: float = 3.0
    _folders: dict[str, LandingFolder] = PrivateAttr(default_factory=dict)

    def arrivals(self, source: str, known: Collection[str] = (), limit: int | None = None) -> Sequence[Arrival]:
        """List files by modification time."""
        return self._folder(source).look(known)[:limit]

    def settled(self, source: str) -> str:
        """Return the mark beside the files."""
        return self._folder(source).settled_mark()

    @contextmanager
    def set_apart(self, name: str) -> Iterator[FolderEventSource]:
        """Give a folder of its own in this one."""
        with lent(Path(self.root, name)) as folder:
            yield self.with_settings(root=str(folder))

    def kit_fixtures(self) -> Mapping[str, Any]:
        """Deliver as a careful sender does."""
        from loopline.resources.folder.delivery import FolderDelivery

        return {"deliver": FolderDelivery(Path(self.root))}

    def _folder(self, source: str) -> LandingFolder:
        if source not in self._folders:
            self._folders[source] = LandingFolder(Path(self.root, source), self.still_seconds)
        return self._folders[source]

    def place(self, source: str) -> str:
        """Return the folder."""
        return os.path.abspath(Path(self.root, source))  # noqa: PTH100 - without its ..

    def lay(self, source: str, name: str, content: bytes, at: datetime) -> None:
        """Write a file under another name first."""
        folder = Path(self.root, source)
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f".{name}"
        draft.write_bytes(content)
        os.utime(draft, (at.timestamp(), at.timestamp()))
        draft.rename(folder / name)

    def redact(self, source: str, arrival: Arrival, lines: Collection[int], landed: Callable[[str], None]) -> None:
        """Write the file anew beside itself; it keeps its name and its time."""
        from loopline.resources.folder.redacting import redact

        redact(self._folder(source), arrival.name, arrival.content, lines, landed)

    def read(self, source: str, arrival: Arrival) -> pa.Table:
        """Read a file whose content is still that of the arrival."""
        path = Path(self.root, source, arrival.name)
        if "\\" in arrival.name and not path.exists() and arrival.name in map(shown, names(path.parent)):
            raise ContractBroken(f"the name of {path} is no text in UTF-8", "rename the file")
        if path.is_dir():
            fix = "put files into the source's own folder"
            raise ContractBroken(f"{path} is a folder, and folders in a landing folder are not read", fix)
        reader = file_kinds.reader_of(arrival.name)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            data = None
        except OSError as error:
            raise ContractBroken(f"{path} cannot be read: {error.strerror}", "let the platform read it") from error
        if data is None or hashlib.sha256(data).hexdigest() != (arrival.content_id or arrival.arrival_id):
            raise NotFound(f"{path} is gone or no longer what it was when it was listed", "list arrivals again")
        return reader(data, str(path))
