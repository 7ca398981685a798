"""Lookups shared by commands: the opened platform, models by name, cycles, and the person who decides."""

from __future__ import annotations

import contextlib
import getpass
import os
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loopline.platform_core.errors import NotFound
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.identity.caller import Caller
    from loopline.platform_core.loop.cycles.cycles import Cycle
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model, Source, Team

NAMED = 5
"""So many open cycles does an error name, the newest."""


@contextlib.contextmanager
def opened(only: Collection[str] | None = None) -> Iterator[Platform]:
    """Open the platform with all vendors, or only those named, and close it afterwards."""
    from loopline.platform_core import environment
    from loopline.platform_core.platform import Platform

    _find_inference_server()
    platform = Platform(environment.read() if only is None else environment.read(only=only))
    try:
        yield platform
    finally:
        platform.close()


def declared(name: str) -> tuple[Team, Model]:
    """Return the team and the declaration of ``model`` or ``team/model``; the team must load.

    Raises:
        InvalidSpec: the team is quarantined. NotFound: no team declares it.
    """
    from loopline.platform_core import plugins

    installed = plugins.installed()
    team_name, _, model = name.rpartition("/")
    team = installed.team(team_name) if team_name else installed.owner_of(model)
    return team, team.model(model)


def declaration(ref: ModelRef) -> Model | None:
    """Return the declaration of a model; None where its team does not load, or declares it no more."""
    from loopline.platform_core import plugins

    models = (m for team in plugins.installed().teams if team.name == ref.team for m in team.models)
    return next((m for m in models if m.name == ref.model), None)


def remembered(platform: Platform, name: str) -> ModelRef:
    """Return the one model of which the ledger heard by ``model`` or ``team/model``; else as ``referenced``.

    For commands that only tell the past: no team's package is imported, which takes half of such a command's time.
    """
    found = _in_ledger(platform, name)
    return found[0] if len(found) == 1 else referenced(platform, name)


def referenced(platform: Platform, name: str) -> ModelRef:
    """Return the reference of ``model`` or ``team/model``.

    Whoever is on call must reach a model whose team does not load: then the ledger's word is enough. A name with its
    team that the ledger knows is looked up nowhere else.
    """
    from loopline.platform_core import plugins
    from loopline.platform_core.errors import NotFound
    from loopline.platform_core.foundation.names import ModelRef

    team, _, model = name.rpartition("/")
    if team and (found := _in_ledger(platform, name)):
        return found[0]
    try:
        return ModelRef(plugins.installed().owner_of(name).name, model)
    except NotFound:
        found = _in_ledger(platform, name)
        if len(found) != 1:
            raise
        return found[0]


def _in_ledger(platform: Platform, name: str) -> list[ModelRef]:
    """Return the models of which the ledger ever heard by this name; the index alone answers."""
    from sqlalchemy import select

    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.loop.ledger.tables import entries

    team, _, model = name.rpartition("/")
    if not model:
        return []
    query = select(entries.c.team, entries.c.model).where(entries.c.model == model)
    query = query.where(entries.c.team == team).limit(1) if team else query.distinct()
    with platform.ledger.reading() as connection:
        return [ModelRef(*row) for row in connection.execute(query)]


def open_cycle(platform: Platform, name: str) -> Cycle:
    """Find a cycle by its id, else the open one of a model.

    Raises:
        NotFound: there is none.
    """
    from loopline.platform_core.errors import NotFound
    from loopline.platform_core.loop.cycles import cycles

    with contextlib.suppress(NotFound):
        return cycles.cycle(platform.ledger, name)
    every = cycles.open_cycles(platform.ledger)
    try:
        ref = referenced(platform, name)
    except NotFound as error:
        raise _no_cycle(name, every) if error.problem.startswith("no team") else error from None
    found = next((one for one in every if one.ref == ref), None)
    if found is None:
        raise NotFound(f"{ref} has no open cycle", f"see 'loopline cycle list {ref}'")
    return found


def any_cycle(platform: Platform, name: str) -> Cycle:
    """Find a cycle by its id, else the newest one of a model, open or closed.

    Raises:
        NotFound: there is none.
    """
    from loopline.platform_core.errors import NotFound
    from loopline.platform_core.loop.cycles import cycles

    try:
        return open_cycle(platform, name)
    except NotFound:
        with contextlib.suppress(NotFound):
            if found := cycles.cycles(platform.ledger, referenced(platform, name)):
                return found[-1]
        raise


def _no_cycle(name: str, every: Sequence[Cycle]) -> NotFound:
    from loopline.platform_core.errors import NotFound

    fix = "no cycle is open: 'loopline cycle list MODEL' shows the ids of a model's closed ones"
    if every:
        fix = f"use the id of an open cycle: {', '.join(one.cycle_id for one in every[-NAMED:])}"
    return NotFound(f"no cycle and no model is called {name!r}", fix)


def live_version(platform: Platform, ref: ModelRef) -> str:
    """Return the version that is live.

    Raises:
        NotFound: none is.
    """
    from loopline.platform_core.errors import NotFound
    from loopline.platform_core.loop.deployments.deployments import deployment

    current = deployment(platform.ledger, ref)
    if current is None or current.stable is None:
        raise NotFound(f"no version of {ref} is live", "name one with --version")
    return current.stable.version


def person(by: str | None) -> str:
    """Return who decides, as ``decider`` does."""
    return decider(by).name


def decider(by: str | None) -> Caller:
    """Return who decides: who logged in, where the environment asks; else the name given, or this machine's.

    Raises:
        Denied: nobody has logged in, or somebody else than the name given.
    """
    from loopline.platform_core import environment
    from loopline.platform_core.identity.caller import Caller

    if environment.asks_to_sign_in():
        from loopline.sign_in import command

        return command.caller(by)
    return Caller(by or os.environ.get("LOOPLINE_USER") or getpass.getuser())


def _find_inference_server() -> None:
    """Take over the port that a running supervisor chose, so that endpoints are named as they are."""
    from loopline.platform_core.environment import home
    from loopline.platform_core.errors import NotFound
    from loopline.up import lock

    with contextlib.suppress(NotFound):
        port = lock.announced(home())["ports"]["inference"]
        os.environ.setdefault("LOOPLINE_INFERENCE_PORT", str(port))


def source_of(name: str) -> tuple[Team, Source]:
    """Return the team and the declaration of ``source`` or ``team/source``.

    Raises:
        NotFound: no team, or more than one, declares it. InvalidSpec: its team is quarantined.
    """
    from loopline.platform_core import plugins
    from loopline.platform_core.errors import NotFound

    team_name, _, source = name.rpartition("/")
    teams = [plugins.installed([team_name]).team(team_name)] if team_name else plugins.installed().teams
    found = [(team, declared) for team in teams for declared in team.sources if declared.name == source]
    if len(found) != 1:
        every = [f"{team.name}/{declared.name}" for team, declared in found]
        every = every or [f"{team.name}/{declared.name}" for team in teams for declared in team.sources]
        whose = f"team {team_name} has no" if team_name else f"{'several teams have' if found else 'no team has'} a"
        none = "none: nobody declares a source, see 'loopline plugin check'"
        raise NotFound(f"{whose} source {source!r}", f"use one of {', '.join(every) or none}")
    refuse_elsewhere(found[0][0])
    return found[0]


def team_of(name: str) -> Team:
    """Return a team that is installed, at this site.

    Raises:
        InvalidSpec: it is quarantined. NotFound: there is none. Refused: it is at another site than this process.
    """
    from loopline.platform_core import plugins

    team = plugins.installed([name]).team(name)
    refuse_elsewhere(team)
    return team


def refuse_elsewhere(team: Team) -> None:
    """Hold whoever asks for a team's rows to the team's own site: here are none of them.

    Raises:
        Refused: the team is at another one than this process.
    """
    from loopline.platform_core import environment, sites

    environment.sites().refuse_elsewhere(team.name, sites.here())
