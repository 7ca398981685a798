"""Command ``loopline scorecard``: DORA metrics, service levels, cost and reuse of teams."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loopline.cli.command import Command, progress
from loopline.cli.output import Answer, table
from loopline.cli.subject import opened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.platform_core.platform import Platform
    from loopline.scorecard import Figure

COLUMNS = ("figure", "value", "unit", "of", "name")


@click.command("scorecard", cls=Command)
@click.option("--team", metavar="TEAM", help="Of one team, or of one model: team/model.")
@click.option("--history", "name", metavar="NAME", help="Of one figure, how it was at the end of each day.")
@click.option("--refresh", is_flag=True, help="Compute it now, instead of showing what the last hour found.")
@click.option("--how", is_flag=True, help="Say how each figure is computed.")
def scorecard(team: str | None, name: str | None, refresh: bool, how: bool) -> Answer:
    """Show how fast and safely models change, how well they answer, what they cost, and what teams share.

    Dagster computes it once an hour. A figure without anything to compute it from says why.
    """
    from loopline.scorecard import history, latest

    known = _checked(name)
    with opened(only=("lake", "serving")) as platform:
        _known(platform, team)
        if refresh or not latest(platform):
            _compute(platform)
        if known:
            return _history(known, team or "", history(platform, known, team or ""))
        return _answer(latest(platform, team or None), team, how=how)


def _known(platform: Platform, scope: str | None) -> None:
    """Refuse a team or a model that is neither installed nor in the scorecard's past.

    Raises:
        NotFound: there is none of this name.
    """
    from loopline.platform_core import plugins
    from loopline.platform_core.errors import NotFound
    from loopline.scorecard import latest

    if not scope:
        return
    teams = plugins.installed().teams
    names = {team.name for team in teams} | {f"{team.name}/{model.name}" for team in teams for model in team.models}
    if scope not in names and not latest(platform, scope):
        raise NotFound(f"no team or model {scope!r} is known", f"there are {', '.join(sorted(names)) or 'none'}")


def _checked(name: str | None) -> str:
    from loopline.scorecard.definitions import DEFINITIONS

    if name and name not in DEFINITIONS:
        raise click.UsageError(f"no figure is called {name!r}; there are {', '.join(DEFINITIONS)}")
    return name or ""


def _compute(platform: Platform) -> None:
    from loopline.platform_core import plugins
    from loopline.scorecard.compute import update

    with progress("computing the scorecard"):
        update(platform, plugins.installed().teams)


def _answer(figures: Sequence[Figure], team: str | None, *, how: bool) -> Answer:
    scopes = sorted({figure.scope for figure in figures})
    parts = [_scope(scope, [f for f in figures if f.scope == scope], how=how) for scope in scopes]
    nothing = f"nothing is known of {team or 'any team'} yet"
    return Answer({"team": team, "figures": figures}, "\n\n".join(parts) or nothing)


def _scope(scope: str, figures: Sequence[Figure], *, how: bool) -> str:
    """Show a scope's figures by topic; those without a value come last, with the reason."""
    from loopline.scorecard.definitions import DEFINITIONS

    newest = max(figure.at for figure in figures)
    rows = [(DEFINITIONS[f.name].title, _value(f), f.unit, f.count, f.name) for f in figures if f.value is not None]
    said = [f"{scope or 'the organisation'}, {newest:%Y-%m-%d %H:%M} UTC", table(rows, COLUMNS)]
    said += [f"none  {f.name}: {f.reason}" for f in figures if f.value is None]
    said += [f"how   {f.name}: {f.how}" for f in figures if how]
    return "\n".join(said)


def _value(figure: Figure) -> float | str | None:
    from loopline.platform_core.training.prices import CURRENCY, money

    value = figure.value
    return money(value) if value is not None and CURRENCY.fullmatch(figure.unit) else value


def _history(name: str, scope: str, figures: Sequence[Figure]) -> Answer:
    from loopline.scorecard.definitions import DEFINITIONS

    rows = [(figure.at, _value(figure), figure.unit, figure.count, figure.reason) for figure in figures]
    head = f"{name} of {scope or 'the organisation'}: {DEFINITIONS[name].how}"
    text = table(rows, ("at (UTC)", "value", "unit", "of", "")) if rows else "nothing is known of it yet"
    return Answer({"figure": name, "team": scope, "history": figures}, f"{head}\n{text}")
