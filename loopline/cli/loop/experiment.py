"""Commands ``loopline experiment plan``, ``start``, ``show``, ``look`` and ``stop``: A/B tests of two versions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from loopline.cli.command import Command, progress
from loopline.cli.lazy import LazyGroup
from loopline.cli.output import Answer, table
from loopline.cli.subject import declared, opened, person, referenced

if TYPE_CHECKING:
    from loopline.platform_core.experiments.plan import Plan
    from loopline.platform_core.loop.ledger.ledger import Entry
    from loopline.platform_core.loop.rollouts.experiments import Standing
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Experiment, Model, Team

experiment = LazyGroup(
    "experiment",
    {
        "plan": ("loopline.cli.loop.experiment:planned", "Sample size and duration of an experiment."),
        "start": ("loopline.cli.loop.experiment:start", "Start an experiment between a version and the live one."),
        "show": ("loopline.cli.loop.experiment:show", "How an experiment stands, and how earlier ones ended."),
        "look": ("loopline.cli.loop.experiment:look", "Look at what is known by now, and act on it."),
        "stop": ("loopline.cli.loop.experiment:stop", "End it: the candidate is taken back, or goes on."),
    },
    "A/B tests of two versions: plan, start, show, stop.",
)
SEEN = ("looked (UTC)", "candidate", "stable", "difference", "interval")


def _settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options by which an experiment differs from what its model declares."""
    options = [
        click.option("--outcome", metavar="METRIC", help="Without a declared one: a metric of the model's kind."),
        click.option("--effect", type=float, help="The smallest difference that is worth the change."),
        click.option("--percent", type=int, help="Of the entities that meet the candidate."),
        click.option("--power", type=float, help="With what chance the effect is found."),
        click.option("--alpha", type=float, help="With what chance one of two alike seems better."),
        click.option("--days", type=float, help="How long an entity counts after it met its version."),
        click.option("--wait-days", type=float, help="How long after that labels may come."),
        click.option("--most-days", type=float, help="When it ends anyway."),
        click.option("--history-days", default=28.0, show_default=True, help="By how many past days it is planned."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command("plan", cls=Command)
@click.argument("model")
@click.argument("name", default="")
@_settings
def planned(model: str, name: str, history_days: float, **changes: Any) -> Answer:
    """Say how many entities experiment NAME of MODEL needs, and in how many days they come.

    By what was answered and realised in the last days. The number is tried on those very entities: experiments with
    and without the effect are drawn from them, and looked at again and again.
    """
    team, spec = declared(model)
    with opened() as platform, progress("planning"):
        asked, found = _planned(platform, team, spec, name, history_days, changes)
    data = {"model": f"{team.name}/{spec.name}", "experiment": asked.name, "outcome": asked.outcome_name}
    return Answer(data | {"effect": asked.effect, "plan": found}, _plan_text(asked, found))


@click.command("start", cls=Command)
@click.argument("model")
@click.argument("name", default="")
@click.option("--version", required=True, help="The candidate: it passed its gates, and was not rolled out before.")
@click.option("--reason", required=True, help="What is to be found out; kept in the ledger.")
@click.option("--by", metavar="NAME", help="Who; you when left out.")
@click.option("--hold", is_flag=True, help="A person decides after the verdict.")
@click.option("--planned", "entities", type=int, help="How many entities; the plan's number when left out.")
@_settings
def start(  # noqa: PLR0913, PLR0917 - what, which, why, who, and its settings
    model: str, name: str, version: str, reason: str, by: str | None, hold: bool, entities: int | None, **given: Any
) -> Answer:
    """Let VERSION of MODEL answer a part of the entities beside the live one, until it is known which does better.

    It goes the way of a rollout, step by step, to its percent and stays there. Its judges go on, and may take it back.
    """
    from loopline.platform_core.experiments import running
    from loopline.platform_core.experiments.settings import Settled, asked

    team, spec = declared(model)
    history_days = given.pop("history_days")
    with opened() as platform, progress("starting"):
        if entities is None:
            one, plan = _planned(platform, team, spec, name, history_days, given)
            entities = plan.size.sequential
        else:
            one = asked(spec, name, **given)
        found = running.start(platform, team, spec, version, Settled(one, entities, hold), person(by), reason)
    said = (
        f"{found.name}: version {version} beside {found.stable}, {found.percent} percent, {entities:,} entities planned"
    )
    return Answer(_told(found, []), said)


@click.command("show", cls=Command)
@click.argument("model")
@click.option("--limit", default=12, show_default=True, help="Show at most so many looks of each.")
def show(model: str, limit: int) -> Answer:
    """Show how the experiments of MODEL stand and how they ended, the newest first; nothing is measured."""
    from loopline.platform_core.loop.rollouts import experiments

    with opened(only=()) as platform:
        ref = referenced(platform, model)
        found = [(one, experiments.looks(platform.ledger, one)) for one in experiments.every(platform.ledger, ref)]
    text = "\n\n".join(_text(one, looks[-limit:]) for one, looks in found) or f"{ref} has had no experiment"
    return Answer({"model": ref, "experiments": [_told(one, looks[-limit:]) for one, looks in found]}, text)


@click.command("look", cls=Command)
@click.argument("model")
def look(model: str) -> Answer:
    """Look at what is known of the experiment of MODEL by now, and act on it, as the platform does each hour.

    The intervals hold however often anybody looks.
    """
    from loopline.platform_core.experiments import running
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.loop.rollouts import experiments, rollouts
    from loopline.platform_core.monitor.quality.predictions import compact

    team, spec = declared(model)
    ref = ModelRef(team.name, spec.name)
    with opened() as platform, progress("looking"):
        running.running(platform, ref)
        record = rollouts.running(platform.ledger, ref)
        compact(platform, team, spec)
        one = experiments.every(platform.ledger, ref)[0]
        if record is None or record.percent != one.percent:
            where = record.where if record else "not there"
            return Answer({"model": ref, "looked": False}, f"its rollout is {where}: the experiment has not begun")
        running.step(platform, team, spec, record)
        one = experiments.every(platform.ledger, ref)[0]
        looks = experiments.looks(platform.ledger, one)
    return Answer({"model": ref, "looked": True} | _told(one, looks[-1:]), _text(one, looks[-1:]))


@click.command("stop", cls=Command)
@click.argument("model")
@click.option("--reason", required=True, help="Why; kept in the ledger.")
@click.option("--by", metavar="NAME", help="Who; you when left out.")
@click.option("--go-on", is_flag=True, help="Let the candidate's rollout go on, instead of taking it back.")
def stop(model: str, reason: str, by: str | None, go_on: bool) -> Answer:
    """End the experiment of MODEL without a winner: its candidate is taken back."""
    from loopline.platform_core.experiments import running

    with opened() as platform, progress("stopping"):
        one = running.stop(platform, referenced(platform, model), person(by), reason, go_on=go_on)
    return Answer(_told(one, []), _text(one, []))


def _planned(  # noqa: PLR0913, PLR0917 - of what, and by what
    platform: Platform, team: Team, spec: Model, name: str, history_days: float, changes: Mapping[str, Any]
) -> tuple[Experiment, Plan]:
    from loopline.platform_core.experiments.outcomes import Source
    from loopline.platform_core.experiments.plan import plan
    from loopline.platform_core.experiments.settings import asked
    from loopline.platform_core.monitor.quality.predictions import compact

    one = asked(spec, name, **changes)
    compact(platform, team, spec)
    return one, plan(Source(platform, team, spec), one, history_days)


def _plan_text(one: Experiment, found: Plan) -> str:
    size, tried = found.size, found.tried
    days = "no new entity comes any more" if found.days is None else f"about {found.days:,.0f} days"
    rows = [
        ("outcome", f"{one.outcome_name}, {found.mean:.4g} with deviation {found.deviation:.4g} ({found.entities:,})"),
        ("effect", f"{one.effect:g}, found with chance {one.power:g}"),
        ("entities", f"{size.sequential:,}, looked at whenever you like ({size.fixed:,} at one look, at the end)"),
        (
            "time",
            f"{days}: {found.a_day:,.1f} entities a day, {one.days:g} days each, {one.wait_days:g} more for labels",
        ),
        ("tried", f"{tried.found:.0%} of {tried.trials} with the effect found it, {tried.false:.1%} without found one"),
    ]
    return table(rows) + ("" if tried.entities is None else f"\nhalf of them knew after {tried.entities:,} entities")


def _told(one: Standing, looks: list[Entry]) -> dict[str, Any]:
    data: dict[str, Any] = {"experiment": one.name, "version": one.version, "stable": one.stable, "by": one.actor}
    data |= {"started_at": one.started_at, "reason": one.reason, "settled": one.settled, "end": one.end}
    return data | {"looks": [{"at": entry.at, "said": entry.reason, **entry.details} for entry in looks]}


def _text(one: Standing, looks: list[Entry]) -> str:
    head = (
        f"{one.name}: version {one.version} beside {one.stable}, {one.percent} percent, since {one.started_at:%Y-%m-%d}"
    )
    parts = [f"{head}, by {one.actor}: {one.reason}"]
    if looks:
        parts += [table([_row(entry) for entry in looks], SEEN), looks[-1].reason]
    parts.append(f"{one.end.verdict}: {one.end.reason}" if one.end else "it runs")
    return "\n".join(parts)


def _row(entry: Entry) -> list[Any]:
    seen = entry.details
    sides = [f"{seen[side]['known']:,} of {seen[side]['met']:,}" for side in ("candidate", "stable")]
    found = seen["difference"]
    interval = f"[{found['low']:+.4g}, {found['high']:+.4g}]" if found else ""
    return [entry.at, *sides, f"{found['value']:+.4g}" if found else "", interval]
