"""Commands ``loopline tenant``: creates, shows, suspends, resumes and deletes tenants."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loopline.cli.command import Command
from loopline.cli.lazy import LazyGroup
from loopline.cli.output import Answer, table
from loopline.cli.subject import person

if TYPE_CHECKING:
    from loopline.platform_core.tenants import Operators, Wanted
    from loopline.platform_core.tenants.provisioning import Done

_MODULE = "loopline.cli.access.tenant"
tenant = LazyGroup(
    "tenant",
    {
        "create": (f"{_MODULE}:create", "Make a tenant in each store; again completes or mends one."),
        "list": (f"{_MODULE}:list_", "All tenants, with the state of each."),
        "show": (f"{_MODULE}:show", "What a tenant has in each store, and whether it may come in."),
        "suspend": (f"{_MODULE}:suspend", "Stop a tenant's work, and keep what it has."),
        "resume": (f"{_MODULE}:resume", "Let a tenant in again, to all that it has."),
        "delete": (f"{_MODULE}:delete", "Remove a tenant with all that it has, and prove it."),
    },
    "Tenants, who share stores but no data.",
)
_ON = click.option("--on", metavar="FILE", help="The operator's file. [LOOPLINE_TENANTS]")
_BY = click.option("--by", metavar="NAME", help="Who; you when left out.")
_DRY = click.option("--dry-run", "pretend", is_flag=True, help="Say what would be done, and do nothing.")
_REASON = click.option("--reason", default="", help="Why; the record keeps it, and the tenant is told.")


@click.command("create", cls=Command)
@click.argument("tenant", metavar="NAME")
@_ON
@_BY
@_DRY
@click.option(
    "--user", default="", help="An account of this machine, or its number, whose its files are; asks for root."
)
@click.option("--rotate", is_flag=True, help="Give it other passwords; its old ones end.")
def create(tenant: str, on: str | None, by: str | None, pretend: bool, **how: Any) -> Answer:
    """Make a tenant called NAME: a place and a user in each store, a folder, an environment file."""
    from loopline.platform_core import tenants

    with _operators(on) as operators:
        done = tenants.create(operators, _wanted(tenant, by, pretend=pretend), how["user"], rotate=how["rotate"])
        place = tenants.place_of(operators, done.tenant)
    variables = f"LOOPLINE_ENVIRONMENT={place.environment} LOOPLINE_HOME={place.home}"
    more = {"environment": str(place.environment), "home": str(place.home)}
    return _answer(done, f"tenant {tenant} is active; it works by {variables}", more)


@click.command("list", cls=Command)
@_ON
def list_(on: str | None) -> Answer:
    """List tenants."""
    from loopline.platform_core import tenants

    with _operators(on) as operators:
        known = tenants.known(operators)
    rows = [[one.name, one.state, one.at, one.by, one.user, one.reason] for one in known]
    header = ("tenant", "state", "since", "by", "account", "reason")
    return Answer({"tenants": known}, table(rows, header) if rows else "there are no tenants")


@click.command("show", cls=Command)
@click.argument("tenant", metavar="NAME")
@_ON
def show(tenant: str, on: str | None) -> Answer:
    """Ask each store about NAME."""
    from loopline.platform_core.errors import NotFound
    from loopline.platform_core.tenants import found, names, provisioning

    with _operators(on) as operators:
        there = found(operators, names.checked(tenant))
        if there is None:
            raise NotFound(f"there is no tenant {tenant!r}", "list them with 'loopline tenant list'")
        held = provisioning.held(operators, there)
    rows = [[store, one["open"], len(one["holds"]), one["bytes"]] for store, one in held.items()]
    text = f"{tenant} is {there.state} since {there.at} by {there.by}\n"
    return Answer({"tenant": there, "stores": held}, text + table(rows, ("store", "open", "things", "bytes")))


@click.command("suspend", cls=Command)
@click.argument("tenant", metavar="NAME")
@_ON
@_BY
@_DRY
@_REASON
def suspend(tenant: str, on: str | None, by: str | None, pretend: bool, reason: str) -> Answer:
    """Shut NAME out of each store and end what it runs there; nothing of it is lost."""
    from loopline.platform_core import tenants

    return _did(tenants.suspend, on, _wanted(tenant, by, reason, pretend=pretend), f"tenant {tenant} is suspended")


@click.command("resume", cls=Command)
@click.argument("tenant", metavar="NAME")
@_ON
@_BY
@_DRY
def resume(tenant: str, on: str | None, by: str | None, pretend: bool) -> Answer:
    """Let NAME into each store again."""
    from loopline.platform_core import tenants

    said = f"tenant {tenant} is active: 'loopline up' starts it"
    return _did(tenants.resume, on, _wanted(tenant, by, pretend=pretend), said)


@click.command("delete", cls=Command)
@click.argument("tenant", metavar="NAME")
@_ON
@_BY
@_DRY
@_REASON
@click.option("--yes", metavar="NAME", help="The name once more: what it has is lost.")
def delete(tenant: str, on: str | None, by: str | None, pretend: bool, **how: Any) -> Answer:
    """Remove NAME from each store, with all that it has there, and its folder; then ask each what is left."""
    from loopline.platform_core import tenants
    from loopline.platform_core.errors import Refused

    if how["yes"] != tenant and not pretend:
        raise Refused(f"all that {tenant} has would be lost", f"say --yes {tenant}, or look first with --dry-run")
    wanted = _wanted(tenant, by, how["reason"], pretend=pretend)
    return _did(tenants.delete, on, wanted, f"nothing is left of tenant {tenant}")


def _did(act: Callable[[Operators, Wanted], Done], on: str | None, wanted: Wanted, said: str) -> Answer:
    with _operators(on) as operators:
        return _answer(act(operators, wanted), said, {})


def _answer(done: Done, said: str, more: dict[str, Any]) -> Answer:
    lines = list(done.steps)
    if done.proof is not None:
        lines += [f"{store} holds {', '.join(left) or 'nothing of it'}" for store, left in done.proof.items()]
    pretended = any(step.startswith("would ") for step in done.steps)
    data = {"tenant": done.tenant, "pretended": pretended, "steps": done.steps, **more}
    if done.proof is not None:
        data["left"] = done.proof
    return Answer(data, "\n".join([*lines, "nothing was changed" if pretended else said]))


def _wanted(tenant: str, by: str | None, reason: str = "", *, pretend: bool) -> Wanted:
    from datetime import UTC, datetime

    from loopline.platform_core.tenants import Wanted

    return Wanted(tenant, person(by), datetime.now(UTC), reason, pretend)


@contextmanager
def _operators(on: str | None) -> Iterator[Operators]:
    from loopline.platform_core import tenants

    with closing(tenants.read(Path(on) if on else None)) as operators:
        yield operators
