"""The command line: table of commands, each imported when called; ``--help`` imports click and nothing heavier."""

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
    "pod": ("loopline.cli.installation.pod:pod", "Entry points of the containers of a Kubernetes installation."),
    "portal": ("loopline.cli.installation.portal:portal", "Serve the web portal alone: models, features, alarms."),
    "demo": ("loopline.cli.installation.demo:demo", "Replay two years of real orders, and tell what happened."),
    "login": ("loopline.cli.access.login:login", "Sign in, where the environment asks; decisions bear your name."),
    "logout": ("loopline.cli.access.login:logout", "Sign out, here and at the identity provider."),
    "user": ("loopline.cli.access.user:user", "Local accounts, for teams without an identity provider."),
    "validate": (
        "loopline.cli.validation.validate:validate",
        "Check environment, contracts and specs: file:line, field, message.",
    ),
    "conformance": (
        "loopline.cli.installation.conformance:conformance",
        "Test the vendors of an environment against their contracts' promises.",
    ),
    "doctor": (
        "loopline.cli.installation.doctor:doctor",
        "Whether this machine has what the environment needs; each gap with its fix.",
    ),
    "status": ("loopline.cli.installation.status:status", "Teams, live versions and alarms, at each site and here."),
    "quota": ("loopline.cli.access.quota:quota", "Usage and limit of each quota of the environment."),
    "model": ("loopline.cli.model.model:model", "Models: status, promotion, model card, retirement, edge export."),
    "cycle": ("loopline.cli.loop.cycle:cycle", "Retraining cycles: start one, list them, end one."),
    "history": ("loopline.cli.loop.history:history", "What was live at a time, and why."),
    "rollout": ("loopline.cli.loop.rollout:rollout", "Rollouts in progress: list them, hold one, resume it."),
    "experiment": ("loopline.cli.loop.experiment:experiment", "A/B tests of two versions: plan, start, show, stop."),
    "gitops": ("loopline.cli.loop.gitops:gitops", "Promotion requests in Git: compare with what is live, apply."),
    "rollback": (
        "loopline.cli.loop.rollback:rollback",
        "Roll a model back: end its rollout, or restore the version before.",
    ),
    "freeze": ("loopline.cli.loop.freeze:freeze", "Stop new cycles and rollouts, of a model or of all."),
    "thaw": ("loopline.cli.loop.freeze:thaw", "End a freeze: cycles and rollouts go on."),
    "gate": ("loopline.cli.loop.gate:gate", "Gate verdicts of a version; override one in your name."),
    "audit": ("loopline.cli.access.audit:audit", "Audit log: who decided what; seal, verify, export."),
    "subject": ("loopline.cli.access.person:subject", "Data subject requests: show or erase what is held on a person."),
    "drift": ("loopline.cli.model.drift:drift", "Drift of a model: verdicts, reports, and simulation of a shift."),
    "performance": ("loopline.cli.model.performance:performance", "Live quality and fairness of a model's versions."),
    "drill": ("loopline.cli.loop.drill:drill", "Retrain with a deliberate mistake, to test that it is rolled back."),
    "alarms": ("loopline.cli.installation.alarms:alarms", "Active alarms: list them, acknowledge one."),
    "watchdog": ("loopline.cli.installation.watchdog:watchdog", "Run the watchdog: checks, alarms, notifications."),
    "arrivals": ("loopline.cli.data.arrivals:arrivals", "Landed arrivals of a source: list, withdraw, restore."),
    "dead-letters": (
        "loopline.cli.data.dead_letters:dead_letters",
        "Rows that broke their contract: list, mend, replay.",
    ),
    "features": ("loopline.cli.features.features:features", "Feature views: registry, feature service, online store."),
    "quality": (
        "loopline.cli.data.quality:quality",
        "Data quality of a source: its landings, and anomalies of the newest.",
    ),
    "data": ("loopline.cli.data.data:data", "Quarantines: time windows of bad data that training leaves out."),
    "contract": ("loopline.cli.data.contract:contract", "Data contracts: check rows, and show what a change breaks."),
    "stream": ("loopline.cli.data.stream:stream", "Land a stream as records come, and materialize the views on it."),
    "metrics": ("loopline.cli.installation.metrics:metrics", "Print the platform's own Prometheus metrics."),
    "access": ("loopline.cli.access.access:access", "Temporary roles: request, grant, end, list."),
    "policy": ("loopline.cli.access.policy:policy", "Authorization by Cedar policies: validate, test, explain."),
    "signing": ("loopline.cli.access.signing:signing", "Signed model packages: trainers' keys, verification, signing."),
    "tenant": ("loopline.cli.access.tenant:tenant", "Tenants that share stores: create, show, suspend, delete."),
    "key": ("loopline.cli.access.key:key", "API keys of the endpoint: create, list, revoke."),
    "score-stream": (
        "loopline.cli.data.score_stream:score_stream",
        "Score a stream's records onto another, exactly once.",
    ),
    "scorers": ("loopline.cli.data.score_stream:scorers", "Status of a model's stream scorers: lag and state."),
    "scorecard": ("loopline.cli.installation.scorecard:scorecard", "DORA metrics, service levels, cost, reuse."),
    "lake": ("loopline.cli.data.lake:lake", "Lake maintenance: merge small files, remove old versions."),
    "migrate": ("loopline.cli.data.migrate:migrate", "Migrate lake, registry, ledger and online rows elsewhere."),
    "new": ("loopline.cli.installation.new:new", "Begin from a template: a team, a model, a vendor, a kind."),
    "update": ("loopline.cli.installation.new:update", "Bring what a template made to the template's newest version."),
    "plugin": ("loopline.cli.installation.plugin:plugin", "Installed plugins: list them, check the teams among them."),
    "workspace": ("loopline.cli.installation.workspace:workspace", "Print Dagster's workspace file of the teams."),
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
