"""Secret store on files of a folder."""

from __future__ import annotations

import os
import re
from pathlib import Path

from loopline.platform_core.contracts.secrets import Secrets, bad_name, no_such, refused
from loopline.platform_core.errors import ContractBroken, StoreUnavailable

LARGEST = 1024 * 1024
"""Bytes of a file: what one Secret of Kubernetes may hold."""
_TURNS = 10
"""How often a file may be gone that a link leads to: the kubelet turns it once a minute at most."""
_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,252}")
_GONE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class Files(Secrets):
    """``secret://name`` is the file ``<root>/name``, and ``secret://folder/name`` one in a folder there.

    So are the keys of Kubernetes' Secrets where they are mounted; the kubelet changes all files of one at once, by a
    link, some time after the Secret. A link that leads out of ``root`` is not followed.
    """

    root: Path

    def current(self, name: str) -> bytes:
        """Read the file as it is now."""
        if not all(_PART.fullmatch(part) for part in name.split("/")) or len(name) > 1000:  # noqa: PLR2004
            raise bad_name(name, "use letters, digits, dots, dashes and underscores, in folders by '/'")
        try:
            return self._newest(name)
        except _GONE:
            raise no_such(name, f"the folder {self.root}") from None
        except PermissionError:
            fix = "let the process's user read the file: 'defaultMode' and 'fsGroup' where a pod mounts it"
            raise refused(name, f"the folder {self.root}", fix) from None
        except OSError as error:
            raise StoreUnavailable(
                f"{self.root / name} cannot be read: {error.strerror}", "look whether the volume is there"
            ) from None

    def _newest(self, name: str) -> bytes:
        """Read the content; again where a link is there whose end went just now, as it was turned."""
        for _ in range(_TURNS):
            try:
                return self._content(name)
            except FileNotFoundError:
                if not (self.root / name).is_symlink():
                    raise
        return self._content(name)

    def _content(self, name: str) -> bytes:
        path = self.root / name
        true = Path(os.path.realpath(path))  # a circle of links is told by who opens it
        if not true.is_relative_to(os.path.realpath(self.root)):
            raise refused(name, f"the folder {self.root}", "put the file itself there: its link leads elsewhere")
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise ContractBroken(f"{path} is larger than {LARGEST} bytes", "it is no secret: keep it elsewhere")
        return content
