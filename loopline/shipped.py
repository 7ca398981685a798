"""Files shipped beside the code: environments, prices, alert rules, dashboards, tenants, the demo's team.

In a checkout they are the repository's own folders; a wheel carries copies.
"""

from __future__ import annotations

from pathlib import Path

IN_WHEEL = Path(__file__).with_name("share")
_REPOSITORY = Path(__file__).parents[1]
KINDS = ("environments", "prices", "alerts", "dashboards", "tenants")


def folder(kind: str) -> Path:
    """Return the folder of one of ``KINDS``."""
    return IN_WHEEL / kind if IN_WHEEL.is_dir() else _REPOSITORY / "deploy" / kind


def demo_teams() -> Path | None:
    """Return the folder from which the demo's team can be imported; None in a checkout, where it is installed."""
    teams = IN_WHEEL / "teams"
    return teams if teams.is_dir() else None
