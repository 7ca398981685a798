"""The command line; ``--help`` imports click and nothing heavier, a command imports what it needs when it is called."""

from __future__ import annotations

from contextlib import suppress

import click

from loopline.cli.lazy import LazyGroup
from loopline.cli.output import table

COMMANDS = {
    "init": (
        "loopline.cli.installation.init:init",
        "Begin here: environment files, prices, alert rules, dashboards, a team.",
    ),
    "up": ("loopline.cli.installation.up:up", "Start everything on this machine; Ctrl-C ends it."),
    "pod": ("loopline.cli.installation.pod:pod", "What one container of a cluster runs."),
    "portal": ("loopline.cli.installation.portal:portal", "What is live, why, and whether it does well, as pages."),
    "demo": ("loopline.cli.installation.demo:demo", "Replay two years of real orders, and tell what happened."),
    "login": (
        "loopline.cli.access.login:login",
        "Say who you are, where the environment asks: decisions are signed so.",
    ),
    "logout": ("loopline.cli.access.login:logout", "Forget who logged in, here and at the provider."),
    "user": ("loopline.cli.access.user:user", "Accounts of a small team that has no provider."),
    "validate": (
        "loopline.cli.validation.validate:validate",
        "Check environment, contracts and specs: file:line, field, message.",
    ),
    "conformance": (
        "loopline.cli.installation.conformance:conformance",
        "Hold the vendors of an environment to their promises, where they really are.",
    ),
    "doctor": (
        "loopline.cli.installation.doctor:doctor",
        "Whether this machine has what the environment needs; each gap with its fix.",
    ),
    "status": ("loopline.cli.installation.status:status", "What is there and live, at each site and here."),
    "quota": ("loopline.cli.access.quota:quota", "What the environment may use, and how much of it is used."),
    "model": ("loopline.cli.model.model:model", "What a model is doing now."),
    "cycle": ("loopline.cli.loop.cycle:cycle", "Turns of the loop: open one, list them, end one."),
    "history": ("loopline.cli.loop.history:history", "What was live at a time, and why."),
    "rollout": ("loopline.cli.loop.rollout:rollout", "Rollouts under way: list them, hold one, let it go on."),
    "experiment": (
        "loopline.cli.loop.experiment:experiment",
        "Two versions side by side until it is known which does better.",
    ),
    "gitops": ("loopline.cli.loop.gitops:gitops", "What was merged of models, and what holds."),
    "rollback": ("loopline.cli.loop.rollback:rollback", "Take a model one step back at once."),
    "freeze": ("loopline.cli.loop.freeze:freeze", "Stop new cycles and rollouts, of a model or of all."),
    "thaw": ("loopline.cli.loop.freeze:thaw", "Let the loop turn again."),
    "gate": ("loopline.cli.loop.gate:gate", "What the gates said; let a version pass one by name."),
    "audit": ("loopline.cli.access.audit:audit", "Who decided what; that nobody rewrote it; the proof for others."),
    "subject": ("loopline.cli.access.person:subject", "What is held on a person: show it, erase it, look again."),
    "drift": ("loopline.cli.model.drift:drift", "Would it be noticed? Try a shift without changing anything."),
    "performance": (
        "loopline.cli.model.performance:performance",
        "How good a model was live, estimated and realised, and how fair.",
    ),
    "drill": ("loopline.cli.loop.drill:drill", "Retrain with a mistake on purpose, to see it taken back."),
    "alarms": ("loopline.cli.installation.alarms:alarms", "What is wrong now, and who takes it on."),
    "watchdog": ("loopline.cli.installation.watchdog:watchdog", "Look for what is wrong, and tell people."),
    "arrivals": ("loopline.cli.data.arrivals:arrivals", "What arrived of a source; take an arrival back."),
    "dead-letters": ("loopline.cli.data.dead_letters:dead_letters", "Rows that broke their contract."),
    "features": (
        "loopline.cli.features.features:features",
        "Feature views: the registry, the service, the online store.",
    ),
    "quality": (
        "loopline.cli.data.quality:quality",
        "What a source's landings were like, and what is odd about the newest.",
    ),
    "data": ("loopline.cli.data.data:data", "Windows of time that training leaves out as bad."),
    "contract": (
        "loopline.cli.data.contract:contract",
        "What a source's rows must be, and what a change of that breaks.",
    ),
    "stream": ("loopline.cli.data.stream:stream", "Land a stream as its records come, views included."),
    "metrics": ("loopline.cli.installation.metrics:metrics", "What Prometheus scrapes of the platform itself."),
    "access": ("loopline.cli.access.access:access", "Roles for a while: request, grant, end, list."),
    "policy": ("loopline.cli.access.policy:policy", "Who may decide what, by Cedar policies: validate, test, ask why."),
    "signing": (
        "loopline.cli.access.signing:signing",
        "Keys of those who train; whether a package is what one signed.",
    ),
    "tenant": ("loopline.cli.access.tenant:tenant", "Who shares stores with others, and nothing in them."),
    "key": ("loopline.cli.access.key:key", "API keys of the endpoint, and what their tenants may ask."),
    "score-stream": (
        "loopline.cli.data.score_stream:score_stream",
        "Score a stream's records onto another, exactly once.",
    ),
    "scorers": (
        "loopline.cli.data.score_stream:scorers",
        "The scorers of a model's streams: how far, with what state.",
    ),
    "scorecard": (
        "loopline.cli.installation.scorecard:scorecard",
        "How fast and safely models change, how they answer, what they cost.",
    ),
    "lake": ("loopline.cli.data.lake:lake", "The lake's tables: tidy them."),
    "migrate": (
        "loopline.cli.data.migrate:migrate",
        "Move lake, taken pages, registry, ledger and online rows elsewhere.",
    ),
    "new": ("loopline.cli.installation.new:new", "Begin from a template: a team, a model, a vendor."),
    "update": ("loopline.cli.installation.new:update", "Bring what a template made to the template's newest version."),
    "plugin": ("loopline.cli.installation.plugin:plugin", "Whether the installed teams hold together."),
    "workspace": ("loopline.cli.installation.workspace:workspace", "The workspace file of the installed teams."),
}

loopline = LazyGroup("loopline", COMMANDS, "The whole ML loop as one lineage.")


def main() -> None:
    """Run the command line."""
    loopline.main(prog_name="loopline")


def _version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(table(_made_of()))
        context.exit()


def _made_of() -> list[tuple[str, str]]:
    """Return what a report of a defect begins with: versions as installed, without importing what they are of."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    rows = [("python", f"{platform.python_version()} ({platform.python_implementation()})")]
    rows += [("platform", f"{platform.system()} {platform.release()} {platform.machine()}")]
    for name in ("dagster", "mlflow-skinny", "mlflow"):
        with suppress(PackageNotFoundError):
            rows.append((name, version(name)))
    return [("loopline", version("loopline")), *rows]


_VERSION = "Say which release this is, and what it runs on."
loopline.params.append(click.Option(["--version"], is_flag=True, expose_value=False, callback=_version, help=_VERSION))
