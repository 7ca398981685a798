"""Operator's records of tenants: the state of each, and an append-only log."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from loopline.platform_core.errors import ContractBroken, InvalidEnvironment, Refused
from loopline.platform_core.foundation.files import write_private
from loopline.platform_core.tenants.operators import Operators
from loopline.platform_core.tenants.place import told

State = Literal["creating", "active", "suspended", "deleting"]
_OWN = ".operator"
"""The operator's folder below the root; no tenant's name begins with a dot."""
_RECORD = "record.jsonl"


@dataclass(frozen=True)
class Tenant:
    """A tenant: since when it is what it is, by whom; ``user`` is the account of this machine whose its files are."""

    name: str
    state: State
    at: str
    by: str
    user: int | None = None
    group: int | None = None
    reason: str = ""


def found(operators: Operators, name: str) -> Tenant | None:
    """Return what is known of a tenant, None for one that is not.

    Raises:
        ContractBroken: the file is none of ours.
    """
    return _read(_file(operators, name))


def _read(file: Path) -> Tenant | None:
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        return Tenant(**said)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise ContractBroken(f"{file} is no state of a tenant: {error}", "restore it from a backup") from error


def known(operators: Operators) -> list[Tenant]:
    """Return all tenants by name."""
    files = sorted(_folder(operators).glob("[a-z]*.json"), key=lambda file: file.stem)
    return [tenant for file in files if (tenant := _read(file))]


def save(operators: Operators, tenant: Tenant) -> None:
    """Keep what a tenant is now."""
    file = _file(operators, tenant.name)
    with told(file):
        write_private(file, json.dumps(asdict(tenant), indent=2).encode())


def forget(operators: Operators, name: str) -> None:
    """Keep nothing of it but the record."""
    _file(operators, name).unlink(missing_ok=True)


def record(operators: Operators, entry: Mapping[str, Any]) -> Path:
    """Append to the record what was done, on the disk before this returns; gives the file.

    Raises:
        StoreUnavailable: it cannot be written; a part that was stays, as a line of its own that is no entry.
    """
    file = _folder(operators) / _RECORD
    line = json.dumps(entry, ensure_ascii=False).encode(errors="backslashreplace") + b"\n"
    with told(file), os.fdopen(os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "ab+") as kept:
        kept.seek(max(kept.tell() - 1, 0))
        kept.write(line if kept.read() in {b"", b"\n"} else b"\n" + line)
        kept.flush()
        os.fsync(kept.fileno())
    return file


def recorded(operators: Operators) -> list[dict[str, Any]]:
    """Return the record, the oldest first, without lines that were cut off."""
    entries: list[dict[str, Any]] = []
    with suppress(FileNotFoundError), (_folder(operators) / _RECORD).open("rb") as kept:
        for line in kept:
            with suppress(ValueError):
                entries.append(json.loads(line))
    return entries


@contextmanager
def locked(operators: Operators) -> Iterator[None]:
    """Let one operator change tenants at a time; the system lets the lock go when its holder dies.

    Raises:
        Refused: somebody else is about it.
    """
    lock = os.open(_folder(operators) / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(
                f"somebody else changes tenants in {operators.root} now", "wait until that ends, then do it again"
            ) from None
        yield
    finally:
        os.close(lock)


def _folder(operators: Operators) -> Path:
    folder = operators.root / _OWN
    try:
        operators.root.mkdir(mode=0o711, parents=True, exist_ok=True)  # tenants come by, and do not look around
        folder.mkdir(mode=0o700, exist_ok=True)
        next(folder.iterdir(), None)
    except OSError as error:
        raise InvalidEnvironment(
            f"{folder}: {error.strerror or error}",
            "name a root that whoever runs this may write to, or be the operator",
        ) from error
    return folder


def _file(operators: Operators, name: str) -> Path:
    return _folder(operators) / f"{name}.json"
