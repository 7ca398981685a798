"""Spec of daily explanations of predictions, and the reasons that people are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from loopline.platform_core.errors import InvalidSpec


@dataclass(frozen=True)
class Explain:
    """Have every day's predictions explained from ``start`` (UTC) on: what each column contributed to each row.

    A day is explained in the night after it, or ``wait_days`` later; of more than ``most_rows`` so many, spread over
    the day. Explaining costs more than predicting did: by how much stands in docs/benchmarks.md.

    Raises:
        InvalidSpec: a number is none.
    """

    start: date
    wait_days: int = 0
    most_rows: int = 100_000

    def __post_init__(self) -> None:
        """Refuse fewer than no days, and no rows."""
        if self.wait_days < 0 or self.most_rows < 1:
            raise InvalidSpec(
                f"explain waits {self.wait_days} days for {self.most_rows} rows",
                "write 0 days or more, and a row or more",
            )


@dataclass(frozen=True)
class Reasons:
    """What people are told of a decision: by column the words of the reason that it stands for.

    Several columns may stand for one reason, whose contributions are added. ``against`` is ``"higher"`` where more of
    what is predicted, such as a risk, is worse for somebody, else ``"lower"``.
    """

    texts: Mapping[str, str]
    against: Literal["higher", "lower"] = "higher"
    most: int = 4

    def of(self, contributions: Mapping[str, float]) -> list[str]:
        """Return the reasons that spoke against somebody, the principal one first, ``most`` of them.

        Raises:
            InvalidSpec: a column that spoke against him has no words: what is told would not be what decided.
        """
        sign = 1 if self.against == "higher" else -1
        spoke: dict[str, float] = {}
        for column, value in contributions.items():
            if column not in self.texts and sign * value > 0:
                raise InvalidSpec(f"no words stand for the column {column!r}", "name its reason in texts")
            if column in self.texts:
                text = self.texts[column]
                spoke[text] = spoke.get(text, 0.0) + sign * value
        found = [text for text in spoke if spoke[text] > 0]
        return sorted(found, key=lambda text: -spoke[text])[: self.most]
