"""Tenant folder: the environment file and credentials it reads, and the home it writes.

The folder is the operator's, so a tenant can put no link where the operator writes; ``home`` is the tenant's own.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from loopline.platform_core.errors import ContractBroken, InvalidEnvironment, NotFound, StoreUnavailable
from loopline.platform_core.foundation.files import bytes_below, write_private

HOME, SECRETS, ENVIRONMENT = "home", "secrets", "environment.yaml"
_LAST_ACCOUNT = 2**32 - 2
"""The number after it says to the system that a file is to stay whose it is."""


@dataclass(frozen=True)
class Place:
    """A tenant's folder; where it has an account of this machine, that one alone reads it beside the operator."""

    folder: Path
    user: int | None = None
    group: int | None = None

    @property
    def environment(self) -> Path:
        """Return the tenant's environment file."""
        return self.folder / ENVIRONMENT

    @property
    def home(self) -> Path:
        """Return the folder in which the tenant's installation keeps its state."""
        return self.folder / HOME

    def make(self) -> None:
        """Make the folders, or give those that are there to whom they belong."""
        with told(self.folder):
            for path, mode in ((self.folder, 0o750), (self.folder / SECRETS, 0o750), (self.home, 0o700)):
                path.mkdir(mode=0o700, exist_ok=True)
                self._give(path, mode)
            if self.user is not None:
                os.chown(self.home, self.user, self.group or self.user)

    def secret(self, store: str) -> dict[str, str]:
        """Return what the tenant has for a store; nothing where it has nothing yet."""
        try:
            kept: dict[str, str] = json.loads(self._secret(store).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            fix = "remove the file, and make the tenant again: it gets another password"
            raise ContractBroken(f"{self._secret(store)} is no JSON object", fix) from error
        return kept

    def keep_secret(self, store: str, fields: Mapping[str, str]) -> None:
        """Keep what the tenant has for a store."""
        self.write(self._secret(store), json.dumps(dict(fields), indent=2))

    def write(self, file: Path, text: str) -> None:
        """Write a file that the tenant reads and does not change."""
        with told(file):
            write_private(file, text.encode(), partial(self._give, mode=0o640))

    def remove(self) -> None:
        """Remove the folder with all in it; links in it are removed, not followed."""
        fix = "end what still writes there, or mounts it, then delete the tenant again"
        with told(self.folder, fix):
            if os.path.lexists(self.folder):
                shutil.rmtree(self.folder)

    def left(self) -> tuple[str, ...]:
        """Name what there is of it."""
        return (f"folder {self.folder}",) if os.path.lexists(self.folder) else ()

    def stored_bytes(self) -> int:
        """Return how many bytes the files of the home have."""
        return bytes_below(self.home)

    def _secret(self, store: str) -> Path:
        return self.folder / SECRETS / store

    def _give(self, path: Path | int, mode: int) -> None:
        """Let the tenant's group read, where it has one; else nobody but whose the file is."""
        if self.user is None:
            mode &= 0o700
        else:
            os.chown(path, -1, self.group or self.user)
        os.chmod(path, mode)  # noqa: PTH101 - a descriptor's, too


@contextmanager
def told(path: Path, fix: str = "let whoever runs this write there, and free a full disk") -> Iterator[None]:
    """Tell what the system says of a path as an error that names it.

    Raises:
        StoreUnavailable: it said something.
    """
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(f"{path}: {error.strerror or error} ({error.filename or path})", fix) from error


def account(said: str) -> tuple[int, int]:
    """Return user and group of an account of this machine, or of a number that has none.

    Raises:
        NotFound: there is no such account. InvalidEnvironment: it is the operator's own, or only root may give files.
    """
    if os.geteuid() != 0:
        raise InvalidEnvironment("only root may give files to an account", "run this as root, or leave --user away")
    number = int(said) if re.fullmatch("[0-9]{1,10}", said) and int(said) <= _LAST_ACCOUNT else None
    try:
        entry = pwd.getpwnam(said) if number is None else pwd.getpwuid(number)
        user, group = entry.pw_uid, entry.pw_gid
    except KeyError:
        if number is None:
            fix = f"make it, or give a number up to {_LAST_ACCOUNT}"
            raise NotFound(f"this machine has no account {said!r}", fix) from None
        user = group = number
    if user == 0 or group == 0:
        raise InvalidEnvironment("a tenant as root, or in its group, reads everything", "give it an account of its own")
    return user, group


def others_in(users: Iterator[tuple[str, int | None, int | None]], user: int, group: int) -> str:
    """Return the name of another tenant that has this user or group, "" where there is none."""
    return next((name for name, other, its in users if other == user or its == group), "")
