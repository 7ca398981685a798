"""Record of conformance runs in a home: what each vendor's kits showed when they last ran on it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import EntryPoint, version
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.platform_core import environment
from loopline.platform_core.foundation.files import write

if TYPE_CHECKING:
    from loopline.platform_core.contracts import Vendor
    from loopline.platform_core.testing.promised.conformance import Held, Verdict


@dataclass(frozen=True)
class Record:
    """A run of a vendor's kits: when (UTC), its release, the kits' (Loopline's), each promise's verdict."""

    at: str
    release: str
    kit: str
    promises: Mapping[str, Verdict]


def keep(home: Path, held: Held, vendor: Vendor) -> None:
    """Keep what a whole run showed, in place of the run before; one that was hindered shows nothing."""
    if held.problem or not held.promises:
        return
    verdicts = {str(promise.number): promise.verdict for promise in held.promises}
    for name, point in environment.vendors(held.contract).items():
        if _names(point, type(vendor)):
            file = _file(home, f"{held.contract}.{name}")
            file.parent.mkdir(parents=True, exist_ok=True)
            now = datetime.now(UTC).isoformat(timespec="seconds")
            one = Record(now, release(point), version("loopline"), verdicts)
            write(file, json.dumps(asdict(one)).encode())


def last(home: Path, name: str) -> Record | None:
    """Return what the last run in a home showed of a vendor, named ``<contract>.<vendor>``; None where none ran."""
    try:
        return Record(**json.loads(_file(home, name).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def release(point: EntryPoint) -> str:
    """Return the release of the distribution that brings an entry point."""
    return point.dist.version if point.dist else ""


def _names(point: EntryPoint, vendor: type[Vendor]) -> bool:
    """Say whether an entry point names a class, which may lie in a module below its own; none is loaded."""
    return point.attr == vendor.__qualname__ and f"{vendor.__module__}.".startswith(f"{point.module}.")


def _file(home: Path, name: str) -> Path:
    return home / "conformance" / "last" / f"{name}.json"
