"""Price sheet: cost of an hour of CPU, memory and GPU, with its source and date."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import InvalidEnvironment
from loopline.platform_core.foundation.located_yaml import Located, load

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform

DEFAULT = Path("deploy/prices/aws-us-east-1.yaml")
"""The sheet where an environment file names none, if it is there."""
HOUR = 3600.0
CURRENCY = re.compile("[A-Z]{3}")
"""A unit that is money, as in ISO 4217."""
FINEST = 8
"""Decimals of the smallest sum that is written."""
_FIELDS = ("price", "what", "source", "read")
_MACHINES = "machine_hours"
_HOURS = ("cpu_hour", "memory_gb_hour", "gpu_hour")


@dataclass(frozen=True)
class Price:
    """What an hour costs, of what, who says so, and when it was read."""

    price: float
    what: str
    source: str
    read: str


@dataclass(frozen=True)
class Prices:
    """A price sheet: one core, one GiB of memory and one GPU, an hour each, in one currency; whole machines by type."""

    name: str
    currency: str
    cpu_hour: Price
    memory_gb_hour: Price
    gpu_hour: Price
    machine_hours: Mapping[str, Price] = field(default_factory=dict)

    def of(self, cpu_seconds: float, memory_gb_seconds: float, gpu_seconds: float = 0.0) -> float:
        """Return what was used in the sheet's currency."""
        cpu, memory = cpu_seconds * self.cpu_hour.price, memory_gb_seconds * self.memory_gb_hour.price
        return (cpu + memory + gpu_seconds * self.gpu_hour.price) / HOUR

    def of_training(self, used: Mapping[str, Any]) -> float:
        """Return what a training cost: what its service bills, if the machine has a price; else its parts."""
        machine = self.machine_hours.get(str(used.get("machine", "")))
        if machine is not None:
            return float(used["billed_seconds"]) * int(used.get("machines", 1)) * machine.price / HOUR
        return self.of(used["cpu_seconds"], used["memory_gb_seconds"], used["gpu_seconds"])


def money(value: float, currency: str = "") -> str:
    """Write a sum: ``1,234.50 USD``; below one with two figures, however small, as ``0.000096 USD``."""
    least = 10.0**-FINEST
    if 0 < abs(value) < least:
        return f"less than {least:.{FINEST}f} {currency}".rstrip()
    decimals = 1 - math.floor(math.log10(abs(value))) if 0 < abs(value) < 1 else 2
    return f"{value:,.{min(decimals, FINEST)}f} {currency}".rstrip()


def of_platform(platform: Platform) -> Prices | None:
    """Return the price sheet that the environment names, else the usual one; None where there is none."""
    named = platform.environment.prices
    if named is not None:
        return read(named)
    return read(DEFAULT) if DEFAULT.exists() else None


def read(path: Path) -> Prices:
    """Read a sheet.

    Raises:
        InvalidSpec: the file is missing or no YAML. InvalidEnvironment: it says other things than prices.
    """
    document = load(path)
    data = document.data if isinstance(document.data, dict) else {}
    sheet = data.get("prices")
    if not isinstance(sheet, dict) or set(sheet) - {_MACHINES} != set(_HOURS):
        fix = f"give those three, and types of machines below {_MACHINES} if you like"
        raise InvalidEnvironment(f"{document.at('prices')}: prices are not {', '.join(_HOURS)}", fix)
    found = {name: _price(document, name, sheet[name]) for name in _HOURS}
    machines = sheet.get(_MACHINES) or {}
    if not isinstance(machines, dict):
        raise InvalidEnvironment(f"{document.at('prices', _MACHINES)}: {_MACHINES} is no mapping", "write <type>: {…}")
    of_machines = {str(name): _price(document, str(name), said, _MACHINES) for name, said in machines.items()}
    name, currency = str(data.get("name", path.stem)), str(data.get("currency", "USD"))
    return Prices(name, currency, **found, machine_hours=of_machines)


def _price(document: Located, name: str, said: Any, *below: str) -> Price:
    if not isinstance(said, dict) or set(said) != set(_FIELDS) or not _is_price(said["price"]):
        raise InvalidEnvironment(
            f"{document.at('prices', *below, name)}: {name} is no price",
            f"give {', '.join(_FIELDS)}; a price is a number",
        )
    return Price(float(said["price"]), *(str(said[field]) for field in _FIELDS[1:]))


def _is_price(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
