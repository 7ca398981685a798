"""Commands ``loopline key``: API keys of the endpoint, with each tenant's allowed models and rate limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from loopline.cli.command import Command
from loopline.cli.lazy import LazyGroup
from loopline.cli.output import Answer, table
from loopline.cli.subject import opened

key = LazyGroup(
    "key",
    {
        "create": ("loopline.cli.access.key:create", "Make a key for a tenant; it is shown this once."),
        "list": ("loopline.cli.access.key:list_", "Tenants, what they may ask, and the ids of their keys."),
        "revoke": ("loopline.cli.access.key:revoke", "Take a key back; the server refuses it a second later."),
    },
    "API keys of the endpoint.",
)


@click.command("create", cls=Command)
@click.argument("tenant")
@click.option(
    "--model", "models", multiple=True, help="A model that it may ask, or a pattern such as 'retail.*'. [all]"
)
@click.option("--per-second", type=click.FloatRange(min=0, min_open=True), help="Requests a second, on average.")
@click.option("--burst", type=click.IntRange(min=1), help="Requests at once. [those of a second]")
@click.option("--per-day", type=click.IntRange(min=1), help="Requests in a UTC day.")
def create(
    tenant: str, models: tuple[str, ...], per_second: float | None, burst: int | None, per_day: int | None
) -> Answer:
    """Make a key for TENANT, and say what the tenant may; without options one that is known keeps what it may."""
    from loopline.gateway import api_keys

    limits = {"per_second": per_second, "burst": burst, "per_day": per_day}
    named: dict[str, Any] = {name: value for name, value in limits.items() if value is not None} | (
        {"models": models} if models else {}
    )
    made = api_keys.create(_file(), tenant, api_keys.Tenant(**named) if named else None)
    return Answer({"tenant": tenant, "key": made}, f"{made}\n\nkeep it: only its hash is stored")


@click.command("list", cls=Command)
def list_() -> Answer:
    """List tenants and the ids of their keys."""
    from loopline.gateway import api_keys

    kept = api_keys.read(_file())
    ids = {name: [each for each, key in kept.keys.items() if key.tenant == name] for name in kept.tenants}
    found: list[dict[str, Any]] = [
        {
            "tenant": name,
            "models": list(tenant.models),
            "per_second": tenant.per_second,
            "burst": tenant.burst,
            "per_day": tenant.per_day,
            "keys": ids[name],
        }
        for name, tenant in kept.tenants.items()
    ]
    return Answer({"tenants": found}, _text(found))


@click.command("revoke", cls=Command)
@click.argument("identity", metavar="ID")
def revoke(identity: str) -> Answer:
    """Take back the key with ID, the part between the first two underscores."""
    from loopline.gateway import api_keys

    tenant = api_keys.revoke(_file(), identity)
    return Answer({"key": identity, "tenant": tenant}, f"key {identity} of {tenant} is taken back")


def _file() -> Path:
    """Return the file that the environment names.

    Raises:
        InvalidEnvironment: it names none.
    """
    from loopline.platform_core.errors import InvalidEnvironment

    with opened(only=("serving",)) as platform:
        gateway = getattr(platform.serving, "gateway", None)
        if gateway is None or gateway.keys is None:
            raise InvalidEnvironment(
                f"{platform.environment.path}: serving names no file of API keys, so its endpoint asks nobody for one",
                "write 'gateway: {keys: ${LOOPLINE_HOME}/keys.json}' into the binding of serving",
            )
        return Path(gateway.keys)


def _text(found: list[dict[str, Any]]) -> str:
    if not found:
        return "no tenant has a key"
    rows = [[_cell(value) for value in tenant.values()] for tenant in found]
    return table(rows, ("tenant", "models", "a second", "burst", "a day", "keys"))


def _cell(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else "" if value is None else str(value)
