"""What goes into an image: distributions of this environment by what asks for them, and where they lie in it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
SITE = "/opt/loopline/site-packages"
"""Where packages lie in an image."""
ENVIRONMENT = {
    "PATH": "/usr/bin",
    "PYTHONPATH": SITE,
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
    "HOME": "/tmp",
    "SSL_CERT_FILE": f"{SITE}/certifi/cacert.pem",
}
"""Variables of every image of ours."""


def closure(wanted: Iterable[str], left_out: Iterable[str] = ()) -> dict[str, Distribution]:
    """Return distributions of this environment and all that they need, by name; extras as in ``name[extra]``."""
    found: dict[str, Distribution] = {}
    waiting, seen = [Requirement(name) for name in wanted], set()
    while waiting:
        one = waiting.pop()
        name, extras = re.sub(r"[-_.]+", "-", one.name).lower(), frozenset(one.extras)
        if (name, extras) in seen or name in left_out:
            continue
        seen.add((name, extras))
        found[name] = distribution(name)
        waiting += [need for need in map(Requirement, found[name].requires or ()) if _applies(need, extras)]
    return found


def _applies(need: Requirement, extras: frozenset[str]) -> bool:
    return need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras | {""})
