"""Authorization request: person, action, resource and circumstances."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.specs.model import Model
    from loopline.platform_core.specs.slo import Slo

LOOP = "loop"
"""Who is said to ask for what the loop does by itself; no person may have the name."""
PLATFORM = "platform"
"""Whose roles count for all teams, and for what is no team's."""
ROLES = ("viewer", "operator", "owner", "service", "auditor", "platform_admin")
OF_TEAMS = ROLES[:-1]
"""Roles that somebody may have in one team alone."""

Kind = Literal["Model", "Source", "View", "Person", "Location", "Grant", "Platform"]
_MODELS = ("override gate", "promote version", "proceed cycle", "retire model", "decide rollout", "thaw model",
           "end cycle", "drill model", "run experiment", "propose version", "open cycle", "roll back", "freeze model",
           "start rollout", "serve pickles", "train model")  # fmt: skip
_PLATFORMS = ("freeze everything", "thaw everything", "start team", "issue key", "move environment", "apply promotions",
              "export record", "retain record", "change instance", "rule tenants",
              "write registry")  # fmt: skip
_LOCATIONS = ("wipe assets", "delete run", "report asset", "change schedule", "end run", "reload code",
              "change partitions", "run assets", "read logs")  # fmt: skip
ACTIONS: dict[str, tuple[Kind, ...]] = {
    **dict.fromkeys(_MODELS, ("Model",)),
    "mend data": ("Source",),
    "retire view": ("View",),
    **dict.fromkeys(("show person", "erase person"), ("Person",)),
    "request role": ("Grant",),
    "grant role": ("Grant",),
    "take alarm": ("Model", "Source", "Platform"),
    **dict.fromkeys(_LOCATIONS, ("Location",)),
    **dict.fromkeys(_PLATFORMS, ("Platform",)),
}
"""Every action, and of what; the schema says the same."""
_MILLION = 1_000_000


@dataclass(frozen=True)
class Resource:
    """What something is done to: ``team/model``, ``team/source``, ``team/view@version``, ``team/location`` and so on.

    Of a person it is never said who: ``team/entity`` names the kind of persons; of a role, ``team/role``.

    ``team`` is without its site. A location is what Dagster runs a team's code in, by its own name there. ``slo`` and
    ``retention_days`` are a model's, where its team loads; ``persons`` says whether a contract marks whom it knows as
    persons, None where that is not looked at; ``regions`` are where the contracts of all its sources let rows be, None
    where none says it.
    """

    kind: Kind
    name: str
    team: str = PLATFORM
    site: str = ""
    slo: Slo | None = None
    retention_days: int | None = None
    persons: bool | None = None
    regions: frozenset[str] | None = None

    @property
    def attributes(self) -> dict[str, Any]:
        """Return what a policy sees of it, as Cedar's JSON."""
        roles = {role: {"__entity": {"type": "Role", "id": f"{self.team}/{role}"}} for role in OF_TEAMS}
        seen: dict[str, Any] = {"team": {"name": self.team, **roles}, "site": self.site}
        if self.kind == "Grant":
            seen["role"] = self.name.partition("/")[2]
        if self.slo is not None:
            seen["slo"] = _slo(self.slo)
        if self.retention_days is not None:
            seen["retention_days"] = self.retention_days
        if self.persons is not None:
            seen["persons"] = self.persons
        if self.regions is not None:
            seen["regions"] = sorted(self.regions)
        return seen

    def __str__(self) -> str:
        """Name it for people."""
        return self.name


EVERYTHING = Resource("Platform", PLATFORM)


@dataclass(frozen=True)
class Circumstances:
    """Where and how it is asked: the environment and its region, what it is about, and who asked for the same before.

    ``erased`` counts the persons on whom a version that is to go live was trained and who were erased since.
    """

    environment: str = ""
    production: bool = False
    seconded_by: str = ""
    version: str = ""
    gate: str = ""
    judged: frozenset[str] | None = None
    erased: int | None = None
    region: str = ""

    @property
    def attributes(self) -> dict[str, Any]:
        """Return what a policy sees of it, as Cedar's JSON."""
        seen: dict[str, Any] = {"environment": self.environment, "production": self.production}
        seen |= {name: found for name in ("seconded_by", "version", "gate", "region") if (found := getattr(self, name))}
        seen |= {} if self.judged is None else {"judged": sorted(self.judged)}
        return seen if self.erased is None else seen | {"erased": self.erased}


@dataclass(frozen=True)
class Asked:
    """What is to be done to what, with what makes it this very thing, such as a version: of that four eyes must be."""

    action: str
    resource: Resource
    about: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Question:
    """May ``person`` do ``action`` to ``resource``? ``roles`` are those that the person has there."""

    person: str
    roles: frozenset[str]
    action: str
    resource: Resource
    here: Circumstances = field(default_factory=Circumstances)


def of_model(ref: ModelRef, site: str, team: str, declared: Model | None) -> Resource:
    """Return a model as policies see it; ``team`` is its team without the site."""
    if declared is None:
        return Resource("Model", str(ref), team, site)
    return Resource("Model", str(ref), team, site, declared.slo, declared.retention_days)


def roles_in(team: str, held: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Return roles as policies name them, ``team/role``; a role of the platform is one in the team as well."""
    everywhere = held.get(PLATFORM, frozenset())
    named = {f"{each}/{role}" for each, roles in held.items() for role in roles}
    return frozenset(named | {f"{team}/{role}" for role in everywhere})


def _slo(slo: Slo) -> dict[str, int]:
    return {
        "p95_ms": round(slo.p95_ms),
        "p99_ms": round(slo.p99_ms),
        "errors_per_million": round(slo.errors * _MILLION),
        "uptime_per_million": round(slo.uptime * _MILLION),
    }
