"""Anchor store in a folder that another machine, or a write-once file system, keeps."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from loopline.platform_core.contracts.anchors import Anchors
from loopline.platform_core.errors import StoreUnavailable


class FolderAnchors(Anchors):
    """Files ``<root>/<tenant>/<20 digits>``, which nobody may write after they are there.

    They hold as far as the folder does: put it where whoever can write the ledger cannot, such as a mount that only
    takes new files.
    """

    root: Path

    def create(self, name: str, content: bytes) -> bool:
        """Write a draft and link it to its name, which fails where there is one."""
        file = self.root / name
        draft = file.with_name(f".{file.name}.{os.getpid()}.{os.urandom(4).hex()}")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as opened:
                opened.write(content)
                opened.flush()
                os.fsync(opened.fileno())
            draft.chmod(0o444)
            os.link(draft, file)
        except FileExistsError:
            return False
        except OSError as error:
            raise _away(self.root, error) from error
        finally:
            with contextlib.suppress(OSError):
                draft.unlink()
        return True

    def content(self, name: str) -> bytes | None:
        """Read a file."""
        try:
            return (self.root / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _away(self.root, error) from error

    def names(self, tenant: str) -> list[str]:
        """List the tenant's folder."""
        try:
            found = [file.name for file in (self.root / tenant).iterdir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _away(self.root, error) from error
        return sorted(f"{tenant}/{name}" for name in found if name.isdigit())


def _away(root: Path, error: OSError) -> StoreUnavailable:
    return StoreUnavailable(
        f"anchors in {root}: {error.strerror}", "see whether the folder is there and may be written"
    )
