"""When the watchdog of a home last looked, for whoever asks whether it lives."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from loopline.platform_core.foundation import files

FILE = "watchdog.json"
"""In the home: what the watchdog notes of its last round."""
SILENT_SECONDS = 300
"""From when on nobody may rely on the watchdog."""


def write_round(home: Path, facts: Mapping[str, Any]) -> None:
    """Leave word of a round that has ended; ``at``, in ISO 8601 with its zone, is when."""
    files.write(home / FILE, json.dumps(dict(facts)).encode())


def last(home: Path) -> datetime | None:
    """Return when the watchdog ended its last round; None where none did, or where its word cannot be read."""
    try:
        at = datetime.fromisoformat(json.loads((home / FILE).read_text())["at"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return at if at.tzinfo else None
