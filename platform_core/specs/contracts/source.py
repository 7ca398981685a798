"""Spec of a source: raw rows under a versioned contract."""

from __future__ import annotations

from dataclasses import dataclass

STREAM = "stream"
"""How a source arrives whose rows are records of the bound event stream."""


@dataclass(frozen=True)
class Source:
    """Raw rows under a versioned contract.

    ``contract`` is the path of an ODCS YAML file inside the team's package; ``arrives`` is how often
    (``"daily"`` or ``"hourly"``) the schedule looks for what is new, beside the sensor; ``"stream"`` means that rows
    come as JSON objects over the bound event stream ``team/source``.
    """

    name: str
    contract: str
    arrives: str = "daily"
    description: str = ""
