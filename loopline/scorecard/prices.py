"""The price sheet: what an hour of processor, memory and GPU costs, with where and when that was read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import InvalidEnvironment
from loopline.platform_core.foundation.located_yaml import Located, load

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform

DEFAULT = Path("deploy/prices/aws-us-east-1.yaml")
"""The sheet where an environment file names none, if it is there."""
HOUR = 3600.0
_FIELDS = ("price", "what", "source", "read")
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
    """A price sheet: one core, one GiB of memory and one GPU, an hour each, in one currency."""

    name: str
    currency: str
    cpu_hour: Price
    memory_gb_hour: Price
    gpu_hour: Price

    def of(self, cpu_seconds: float, memory_gb_seconds: float, gpu_seconds: float = 0.0) -> float:
        """Return what was used in the sheet's currency."""
        cpu, memory = cpu_seconds * self.cpu_hour.price, memory_gb_seconds * self.memory_gb_hour.price
        return (cpu + memory + gpu_seconds * self.gpu_hour.price) / HOUR


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
    if not isinstance(sheet, dict) or set(sheet) != set(_HOURS):
        raise InvalidEnvironment(f"{document.at('prices')}: prices are not {', '.join(_HOURS)}", "give those three")
    found = {name: _price(document, name, sheet[name]) for name in _HOURS}
    return Prices(str(data.get("name", path.stem)), str(data.get("currency", "USD")), **found)


def _price(document: Located, name: str, said: Any) -> Price:
    if not isinstance(said, dict) or set(said) != set(_FIELDS) or not _is_price(said["price"]):
        raise InvalidEnvironment(
            f"{document.at('prices', name)}: {name} is no price", f"give {', '.join(_FIELDS)}; a price is a number"
        )
    return Price(float(said["price"]), *(str(said[field]) for field in _FIELDS[1:]))


def _is_price(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
