"""Prometheus metric families in text format: name, type, help, and one sample a set of labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Literal

from loopline.platform_core.foundation import histogram

_ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@dataclass
class Family:
    """A metric: base units in its name (seconds, ratio), ``_total`` for what only grows."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    labels: tuple[str, ...] = ()
    samples: list[tuple[float, tuple[object, ...]]] = field(default_factory=list)

    def add(self, value: float | None, *labels: object) -> None:
        """Add a sample with a value for each label; one that is not known is left out."""
        if value is not None:
            self.samples.append((value, labels))

    def begin_at_zero(self, every: Iterable[tuple[object, ...]]) -> None:
        """Add what was not counted yet: of a counter that begins at one, Prometheus sees no increase."""
        counted = {labels for _, labels in self.samples}
        self.samples += [(0, labels) for labels in every if labels not in counted]

    def lines(self) -> Iterator[str]:
        """Write the family, also one without samples: what might be there is told."""
        yield from histogram.head(self.name, self.kind, self.help)
        named = ",".join(f'{label}="%s"' for label in self.labels)
        sample = f"{self.name}{{{named}}} %s" if named else f"{self.name} %s"
        for value, labels in self.samples:
            yield sample % (*map(_escaped, labels), _number(value))


def text(families: Iterable[Family]) -> bytes:
    """Write families, each ending its line."""
    return "".join(f"{line}\n" for family in families for line in family.lines()).encode()


def seconds(since: datetime | None, now: datetime) -> float | None:
    """Return how long ago something was; never less than nothing, also where a replayed clock was set back."""
    return max(0.0, round((now - since).total_seconds(), 3)) if since else None


@lru_cache(100_000, typed=True)  # the same names come again and again
def _escaped(label: object) -> str:
    return str(label).translate(_ESCAPED)


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
