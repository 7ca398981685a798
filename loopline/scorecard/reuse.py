"""Reuse figures of the scorecard: feature views and templates that several teams use."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from loopline.platform_core.features.registry import catalog
from loopline.platform_core.features.registry.catalog import Wanted
from loopline.scorecard.figure import ORGANISATION, Measure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from loopline.platform_core.features.registry.readers import Reader
    from loopline.platform_core.loop.ledger.ledger import Ledger
    from loopline.platform_core.specs import Team

MADE = ("template.yml", "*.template.yml")
"""Files of a package that say from which template it, or a model of it, was made (``loopline new``)."""
COPIED = ".copier-answers*.yml"
"""The same of templates of other origin, in a package or in the folder of its distribution."""
LEVELS = 2
"""How far above a team's package that folder lies: ``<folder>/src/<package>``."""


class Meant(NamedTuple):
    """A meaning of a feature view: a name, and the hash of what decides its values."""

    name: str
    meaning: str


def measured(ledger: Ledger, teams: Sequence[Team], scopes: Iterable[str]) -> dict[str, dict[str, Measure]]:
    """Compute the figures of each scope as they are now."""
    users, templates = _users_of_views(ledger), _users_of_templates(teams)
    return {scope: _of_views(users, scope) | _of_templates(templates, scope) for scope in scopes}


def _users_of_views(ledger: Ledger) -> Mapping[Meant, set[str]]:
    """Return which teams use each meaning: those that declare it, and those of whoever reads it."""
    users: dict[Meant, set[str]] = defaultdict(set)
    meant = {}
    for record in catalog.views(ledger, Wanted(state="active")):
        meant[record.ref] = Meant(record.ref.view, record.meaning.hash)
        users[meant[record.ref]].add(record.ref.team)
    for reader in catalog.who_reads(ledger):
        if reader.view in meant:
            users[meant[reader.view]].add(_user(reader))
    return users


def _user(reader: Reader) -> str:
    """Return the team of a model, which reads views of its own team where no other is named; an application itself."""
    if reader.kind == "application":
        return f"application {reader.name}"
    team, _, model = reader.name.rpartition("/")
    return team if team and model else reader.view.team


def _of_views(users: Mapping[Meant, set[str]], scope: str) -> dict[str, Measure]:
    own = [each for each in users.values() if scope in {ORGANISATION, *each}]
    if not own:
        nothing = Measure(None, 0, "no feature view is registered")
        return {"shared_views": nothing, "shared_view_share": nothing}
    shared = sum(len(each) > 1 for each in own)
    return {"shared_views": Measure(float(shared), len(own)), "shared_view_share": Measure(shared / len(own), len(own))}


def _users_of_templates(teams: Sequence[Team]) -> Mapping[str, set[str]]:
    users: dict[str, set[str]] = defaultdict(set)
    for team in teams:
        for template in _templates(team.folder):
            users[template].add(team.name)
    return users


def _templates(folder: Path) -> set[str]:
    """Return the templates from which a package and its models were made."""
    made = [file for pattern in MADE for file in sorted(folder.rglob(pattern))]
    copied = [file for place in (folder, *folder.parents[:LEVELS]) for file in sorted(place.glob(COPIED))]
    sources = [source for file in (*made, *copied) if (source := _source(file))]
    return {source.rstrip("/").rpartition("/")[2].removesuffix(".git") for source in sources}


def _source(file: Path) -> str:
    """Return what a file says of its template; empty of files of the same name that others write for other tools."""
    import yaml

    try:
        said = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, OSError, RecursionError):  # ValueError: no UTF-8, or a date that is none
        return ""
    return str(said.get("_src_path") or "") if isinstance(said, dict) else ""


def _of_templates(users: Mapping[str, set[str]], scope: str) -> dict[str, Measure]:
    own = [each for each in users.values() if scope in {ORGANISATION, *each}]
    if not own:
        return {"shared_templates": Measure(None, 0, "no installed package was made from a template")}
    return {"shared_templates": Measure(float(sum(len(each) > 1 for each in own)), len(own))}
