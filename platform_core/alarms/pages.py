"""Links for alarms: URLs of pages of Dagster's web server and of the portal, where they are known."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

DAGSTER_URL = "LOOPLINE_DAGSTER_URL"
"""Variable with the web server's address as people reach it; ``loopline up`` sets it."""
PORTAL_URL = "LOOPLINE_PORTAL_URL"
"""Variable with the portal's address as people reach it."""
REPOSITORY = "__repository__"


@dataclass(frozen=True)
class Pages:
    """Pages of a web server at ``base``; without one there are none."""

    base: str

    @classmethod
    def known(cls) -> Pages:
        """Return the pages that this process knows of."""
        return cls(os.environ.get(DAGSTER_URL, "").rstrip("/"))

    def daemons(self) -> str:
        """Return the page of daemons and their heartbeats."""
        return self._at("deployment/daemons")

    def locations(self) -> str:
        """Return the page of code locations and their errors."""
        return self._at("deployment/locations")

    def sensor(self, location: str, name: str) -> str:
        """Return a sensor's page with its ticks."""
        return self._at(f"locations/{REPOSITORY}@{quote(location)}/sensors/{quote(name)}")

    def schedule(self, location: str, name: str) -> str:
        """Return a schedule's page with its ticks."""
        return self._at(f"locations/{REPOSITORY}@{quote(location)}/schedules/{quote(name)}")

    def asset(self, path: Sequence[str], view: str = "overview") -> str:
        """Return an asset's page; ``view`` is such as ``checks``."""
        return self._at(f"assets/{'/'.join(quote(part, safe='') for part in path)}?view={view}")

    def run(self, run_id: str) -> str:
        """Return a run's page."""
        return self._at(f"runs/{run_id}")

    def _at(self, place: str) -> str:
        return f"{self.base}/{place}" if self.base else ""


def alarms_page() -> str:
    """Return the portal's page of alarms; "" where nobody said how people reach it."""
    base = os.environ.get(PORTAL_URL, "").rstrip("/")
    return f"{base}/alarms" if base else ""
