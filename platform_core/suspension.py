"""Suspension mark of a tenant, beside its environment file: programs that open that file are refused with the reason.

What keeps a suspended tenant out is each store; this says so in one sentence, before anything is opened.
"""

from __future__ import annotations

import json
from pathlib import Path

from loopline.platform_core.errors import Refused

KEY = "tenant"
"""What an environment file calls the tenant whose it is."""
MARK = "suspended.json"


def words(by: str, at: str, reason: str) -> str:
    """Return what the mark says."""
    return json.dumps({"by": by, "at": at, "reason": reason})


def is_marked(file: Path) -> bool:
    """Say whether there is a mark beside an environment file."""
    return (file.parent / MARK).exists()


def refuse(tenant: str, file: Path) -> None:
    """Refuse to work by an environment file whose tenant is suspended.

    Raises:
        Refused: with who suspended it, when and why.
    """
    try:
        said = json.loads((file.parent / MARK).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError):
        said = {}
    told = [f"tenant {tenant} is suspended"]
    if isinstance(said, dict):
        told += [f"{word} {said[name]}" for word, name in (("since", "at"), ("by", "by")) if said.get(name)]
        told += [f"({said['reason']})"] if said.get("reason") else []
    raise Refused(
        " ".join(told), f"nothing of it is lost; who runs the platform lets it in: 'loopline tenant resume {tenant}'"
    )
