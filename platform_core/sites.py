"""Sites: the places where an environment keeps data, away from the control plane that turns the loop.

A team at a site is a team of its own, ``retail_at_eu``, made of the same package, and its environment is the file with
the site's ``bindings`` laid over the shared ones::

    sites:
      eu:
        region: eu                                         # where it is; left out, nobody says so
        bindings: {lake: {vendor: delta, root: "gs://orders-eu/lake"}, ...}
        code_servers: {retail: "retail.eu.example:4000"}   # where one runs at the site; left out, on this machine
    teams:
      retail: {sites: [eu, us]}

What holds data is never the control plane's by omission: a site binds ``OWN`` itself.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

from loopline.platform_core.contracts import CONTRACTS, SEVERAL
from loopline.platform_core.errors import InvalidEnvironment, NotFound, Refused
from loopline.platform_core.foundation.located_yaml import Located, Place

REGION = "region"
SITE = "LOOPLINE_SITE"
"""Tells a process its site; left out, it is the control plane's."""
SITES, TEAMS = "sites", "teams"
OWN = ("lake", "online_store", "event_source", "registry", "compute", "serving", "drift_report")
"""What a site binds itself. Of the registry it takes what the shared binding says, but where the files lie."""
_ONLY_OWN = (*OWN, "event_stream")
"""What is never taken from the shared bindings: rows lie in it, or are worked on by it."""
_APART = ("lake", "online_store", "event_source", "event_stream", "serving", "registry")
"""What two sites must not share."""
_PLACES = (
    "vendor", "root", "url", "path", "artifacts", "table", "database", "prefix", "topic", "servers", "project",
    "region", "endpoint", "endpoint_url", "storage_options",
)  # fmt: skip
"""Settings that say where a vendor keeps things; one that has none of them is told by all that it has."""
_AT = "_at_"
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def team_at(team: str, site: str) -> str:
    """Name a team at a site."""
    return f"{team}{_AT}{site}"


def here() -> str:
    """Return the site of this process, "" at the control plane."""
    return os.environ.get(SITE, "")


@dataclass(frozen=True)
class Sites:
    """The sites of an environment by name; for each team that is at any, which; and where code servers run there.

    ``code_servers`` are addresses ``host:port`` by the name of the team at the site. An environment without sites has
    none of either.
    """

    names: tuple[str, ...] = ()
    teams: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    code_servers: Mapping[str, str] = field(default_factory=dict)

    def of(self, team: str) -> str:
        """Return the site that a team's name names, "" for one of the control plane."""
        base, found, site = team.rpartition(_AT)
        return site if found and base and site in self.names else ""

    def base(self, team: str) -> str:
        """Return the name under which the package of a team, at a site or not, is installed."""
        site = self.of(team)
        return team.removesuffix(f"{_AT}{site}") if site else team

    def refuse_elsewhere(self, team: str, site: str) -> None:
        """Hold whoever works at a ``site`` ("" for the control plane) to the teams that are there.

        Raises:
            Refused: the team is at another one.
        """
        own = self.of(team)
        if own != site:
            at = f"at site {own}" if own else "at the control plane"
            mine = f"of site {site}" if site else "of the control plane"
            to_set = f"set {SITE}={own}" if own else f"unset {SITE}"
            raise Refused(f"team {team} is {at}, and this process is {mine}", f"{to_set} and do it again")

    def spread(self, team: str) -> tuple[str, ...]:
        """Return the teams that a package makes: itself, or itself at each of its sites."""
        return tuple(team_at(team, site) for site in self.teams.get(team, ())) or (team,)


def of(document: Located) -> Sites:
    """Read and check what a file says of sites.

    Raises:
        InvalidEnvironment: a site has no such name, binds too little, or shares a place with another; a team is said to
            be at a site that there is not.
    """
    said = _mapping(document, (SITES,), "write sites: {<name>: {bindings: {...}}}")
    if not said:
        if _data(document).get(TEAMS):
            raise InvalidEnvironment(
                f"{document.at(TEAMS)}: teams are at sites, and no sites are named",
                "add sites: {<name>: {bindings: …}}",
            )
        return Sites()
    for name in said:
        _check_site(document, str(name))
    _check_apart(document, list(map(str, said)))
    teams = dict(_teams(document, list(map(str, said))))
    servers = {
        team_at(team, site): address for site in said for team, address in _code_servers(document, str(site), teams)
    }
    return Sites(tuple(map(str, said)), teams, servers)


def laid(document: Located, site: str) -> Located:
    """Return the file as a process of a site reads it ("": of the control plane), each line where it really stands.

    Raises:
        NotFound: there is no such site.
    """
    data = {key: value for key, value in _data(document).items() if key not in {SITES, TEAMS}}
    if not site:
        return replace(document, data=data) if isinstance(document.data, dict) else document
    data.pop(REGION, None)  # the control plane's is not the site's
    known = _data(document).get(SITES) or {}
    if site not in known:
        raise NotFound(
            f"{document.path}: there is no site {site!r}, as {SITE} says",
            f"set {SITE} to one of {', '.join(map(str, known)) or 'none: the file names no sites'}",
        )
    said = _mapping(document, (SITES, site), "write {bindings: {...}}")
    own = {REGION: said[REGION]} if REGION in said else {}
    return replace(document, data=data | own | {"bindings": _bound(document, site)}, lines=_lines(document, site))


def _bound(document: Located, site: str) -> dict[str, Any]:
    """Lay a site's bindings over the shared ones; one that names no vendor changes fields of the shared one."""
    shared, own = _shared(document), _own(document, site)
    found = {name: settings for name, settings in shared.items() if name not in _ONLY_OWN}
    for name, settings in own.items():
        found[name] = _over(shared.get(name), settings)
    return found


def _over(before: Any, settings: Any) -> Any:
    """Return a site's settings of a contract: a vendor of its own, or the shared one with other fields."""
    if isinstance(settings, Mapping) and isinstance(before, Mapping) and "vendor" not in settings:
        return {**before, **settings}
    return settings


def _lines(document: Located, site: str) -> dict[Place, int]:
    """Return the lines of the file's values, a site's in the places of those that they are laid over."""
    top = (SITES, site, "bindings")
    below = {place: line for place, line in document.lines.items() if place[:3] == top and place[3:]}
    return document.lines | {place[2:]: line for place, line in below.items()}


def _check_site(document: Located, site: str) -> None:
    where = document.at(SITES, site)
    if not _NAME.fullmatch(site) or _AT in f"_{site}_":
        raise InvalidEnvironment(
            f"{where}: a site cannot be called {site!r}",
            "use small letters, digits and single underscores, a letter first, and no word 'at': teams at it are "
            f"called <team>{_AT}<site>",
        )
    _check_keys(document, (SITES, site), {"bindings", "code_servers", REGION})
    _check_keys(document, (SITES, site, "bindings"), set(CONTRACTS) - set(SEVERAL))
    own = _own(document, site)
    missing = [name for name in OWN if name not in own]
    if missing:
        raise InvalidEnvironment(
            f"{where}: site {site} binds no {', '.join(missing)}: its data would be the control plane's",
            f"add to its bindings a line such as '{missing[0]}: {_example(missing[0])}'",
        )


def _check_keys(document: Located, place: tuple[str, ...], known: set[str]) -> None:
    for key in _mapping(document, place, "write {bindings: {<contract>: {vendor: …}}}"):
        if key not in known:
            raise InvalidEnvironment(
                f"{document.at(*place, key)}: unknown key {key!r} in {'.'.join(place)}",
                f"use {', '.join(sorted(known))}",
            )


def _example(contract: str) -> str:
    return "{artifacts: <where model files lie at the site>}" if contract == "registry" else "{vendor: …}"


def _check_apart(document: Located, sites: Sequence[str]) -> None:
    """Refuse two sites, or a site and the control plane, that would keep their rows in one place."""
    bound = {"": _shared(document)} | {site: _bound(document, site) for site in sites}
    for contract in _APART:
        for one, other in combinations(bound, 2):
            mine, theirs = (bound[each].get(contract) for each in (one, other))
            if mine is not None and theirs is not None and _place(mine) == _place(theirs):
                who = f"site {one}" if one else "the control plane"
                raise InvalidEnvironment(
                    f"{document.at(SITES, other, 'bindings', contract)}: site {other} and {who} have one {contract}",
                    "give each a place of its own, such as a folder, a bucket or a table with the site's name",
                )


def _place(settings: Any) -> Any:
    """Return where a binding keeps things, as far as its settings say: by it two of them are the same place."""
    if not isinstance(settings, Mapping):
        return settings
    told = {name: settings[name] for name in _PLACES if name in settings}
    return told if len(told) > 1 else dict(settings)


def _teams(document: Located, sites: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for team, said in _mapping(document, (TEAMS,), "write teams: {<team>: {sites: [<site>]}}").items():
        where = document.at(TEAMS, str(team))
        named = said.get("sites") if isinstance(said, Mapping) and set(said) == {"sites"} else None
        if not isinstance(named, list) or not named or len(set(map(str, named))) < len(named):
            raise InvalidEnvironment(
                f"{where}: it is not said at which sites team {team} is, each once",
                f"write {team}: {{sites: [{sites[0]}]}}, or leave the team out: then it is at the control plane",
            )
        unknown = [str(each) for each in named if each not in sites]
        if unknown:
            raise InvalidEnvironment(
                f"{where}: team {team} is at {', '.join(unknown)}, and there is no such site",
                f"use {', '.join(sites)}, or add it under sites",
            )
        yield str(team), tuple(map(str, named))


def _code_servers(document: Located, site: str, teams: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    place = (SITES, site, "code_servers")
    for team, address in _mapping(document, place, "write code_servers: {<team>: <host>:<port>}").items():
        host, _, port = str(address).rpartition(":")
        if site not in teams.get(team, ()):
            raise InvalidEnvironment(
                f"{document.at(*place, team)}: team {team} is not at site {site}",
                f"add {site} to the sites of {team} under teams, or leave the line out",
            )
        if not host or not port.isdecimal():
            raise InvalidEnvironment(f"{document.at(*place, team)}: {address!r} is no address", "write <host>:<port>")
        yield team, str(address)


def _shared(document: Located) -> Mapping[str, Any]:
    return _mapping(document, ("bindings",), "write bindings: {<contract>: {vendor: …}}")


def _own(document: Located, site: str) -> Mapping[str, Any]:
    return _mapping(document, (SITES, site, "bindings"), "write bindings: {<contract>: {vendor: …}}")


def _mapping(document: Located, place: Sequence[str], fix: str) -> Mapping[str, Any]:
    found: Any = document.data
    for part in place:
        found = found.get(part) if isinstance(found, Mapping) else None
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise InvalidEnvironment(f"{document.at(*place)}: {place[-1]} is no mapping", fix)
    return found


def _data(document: Located) -> Mapping[str, Any]:
    return document.data if isinstance(document.data, Mapping) else {}
