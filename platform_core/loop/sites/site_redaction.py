"""Redaction of a site's reports to the control plane: figures and names only, no keys or values of rows.

Ledger, registry and Dagster are the control plane's. Figures, names of columns and names of files go there; keys of
entities, values of rows and the words of errors about them stay in a file at the site, ``<home>/withheld/<site>.log``.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from loopline.platform_core.errors import LooplineError

if TYPE_CHECKING:
    from pathlib import Path

    from loopline.platform_core.platform import Platform


def at_site(platform: Platform) -> bool:
    """Say whether what is told from here goes to another place."""
    return bool(platform.environment.site)


def told(platform: Platform, what: str, said: str) -> str:
    """Return what is said of rows; at a site only ``what`` it is about, and where it stands."""
    if not at_site(platform):
        return said
    with suppress(OSError):  # a full disk keeps nothing back but the words
        _keep(file(platform), f"{what}: {said}")
    return f"{what}: said in withheld/{platform.environment.site}.log at site {platform.environment.site}"


def error_told(platform: Platform, what: str, error: LooplineError) -> LooplineError:
    """Return an error as it may be told."""
    if not at_site(platform):
        return error
    return LooplineError(told(platform, what, str(error)), "read the line there, at the site")


def file(platform: Platform) -> Path:
    """Return the file at the site."""
    return platform.home / "withheld" / f"{platform.environment.site}.log"


def _keep(path: Path, said: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    line = " ".join(f"{datetime.now(UTC).isoformat(timespec='seconds')} {said}".split())
    with path.open("a", encoding="utf-8") as lines:
        lines.write(f"{line}\n")
