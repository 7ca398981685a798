"""Quota settings of an environment file.

Left out, a quota bounds nothing::

    quotas:
      runs: 20                      # of Dagster, that wait or are under way
      cpus: 16                      # asked for by trainings that are under way together
      gpus: 2
      storage_bytes: 200 GB         # of the lake, the registry's packages and the endpoint's folder
      requests_per_second: 500      # answered by each server, whatever its workers
      log_bytes: 20 GB              # of prediction logs on each server's disk
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loopline.platform_core.errors import InvalidEnvironment
from loopline.platform_core.foundation.located_yaml import Located

KEY = "quotas"
UNITS = {"": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "PB": 10**15} | {
    f"{letter}iB": 2 ** (10 * power) for power, letter in enumerate("KMGTP", 1)
}
_WHOLE = ("runs", "gpus")
_NUMBERS = ("cpus", "requests_per_second")
_BYTES = ("storage_bytes", "log_bytes")
NAMES = ("runs", "cpus", "gpus", "storage_bytes", "requests_per_second", "log_bytes")
"""In the order in which they are shown."""
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")


@dataclass(frozen=True)
class Quotas:
    """How much may be used; None bounds nothing, 0 allows nothing. Of what each counts: the module's words."""

    runs: int | None = None
    cpus: float | None = None
    gpus: int | None = None
    storage_bytes: int | None = None
    requests_per_second: float | None = None
    log_bytes: int | None = None

    def limits(self) -> dict[str, float]:
        """Return those that are set, by name."""
        found = {name: getattr(self, name) for name in NAMES}
        return {name: value for name, value in found.items() if value is not None}


def size(count: float) -> str:
    """Write bytes for people: 1.5 GB."""
    power = min(5, int(math.log10(count) // 3)) if count >= 1 else 0
    return f"{count / 10 ** (3 * power):.4g} {('B', 'kB', 'MB', 'GB', 'TB', 'PB')[power]}"


def read(document: Located, data: Any) -> Quotas:
    """Read the block; ``data`` is the document with its variables filled in.

    Raises:
        InvalidEnvironment: with ``file:line``: there is no such quota, or what is said is no amount of it.
    """
    found = data.get(KEY, {}) if isinstance(data, Mapping) else {}
    if not isinstance(found, Mapping):
        raise InvalidEnvironment(
            f"{document.at(KEY)}: quotas is no mapping", f"write {KEY}: {{runs: 20}}, or leave it out"
        )
    for name in found:
        if name not in NAMES:
            raise InvalidEnvironment(
                f"{document.at(KEY, str(name))}: unknown quota {name!r}", f"use {', '.join(NAMES)}"
            )
    amounts: dict[str, Any] = {name: _amount(document, name, said) for name, said in found.items()}
    return Quotas(**amounts)


def _amount(document: Located, name: str, said: Any) -> float:
    amount = _size(said) if name in _BYTES else _number(said)
    whole = name not in _NUMBERS
    if amount is None or (whole and amount != int(amount)) or (name == "requests_per_second" and amount == 0):
        raise InvalidEnvironment(f"{document.at(KEY, name)}: {said!r} is no amount for quotas.{name}", _fix(name))
    return int(amount) if whole else amount


def _fix(name: str) -> str:
    if name in _BYTES:
        return f"write bytes, as in {name}: 200 GB; units are {', '.join(unit for unit in UNITS if unit)}"
    if name == "requests_per_second":
        return f"write a number above 0, as in {name}: 500; an endpoint that nobody may ask is retired instead"
    return f"write {'a whole number' if name in _WHOLE else 'a number'} from 0 on, as in {name}: 2, or leave it out"


def _number(said: Any) -> float | None:
    """Return a number from 0 on that is one; a variable's text is one too."""
    if isinstance(said, bool) or not isinstance(said, int | float | str):
        return None
    try:
        found = float(said)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) and found >= 0 else None


def _size(said: Any) -> float | None:
    """Return bytes, of a number or of text with a unit; a fraction of a byte is none."""
    if not isinstance(said, str):
        return _number(said)
    match = _SIZE.fullmatch(said.strip().replace("_", ""))
    if match is None or match[2] not in UNITS:
        return None
    found = _number(float(match[1]) * UNITS[match[2]])
    return None if found is None else float(round(found))
