"""Commands ``loopline features list``, ``show`` and ``retire``: the feature registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import click

from loopline.cli.command import Command, progress
from loopline.cli.output import Answer, cell, table
from loopline.cli.subject import opened, person

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.platform_core.features.registry.readers import Reader
    from loopline.platform_core.features.registry.view_table import ViewRecord
    from loopline.platform_core.platform import Platform


@click.command("list", cls=Command)
@click.argument("text", required=False)
@click.option("--team", help="Of this team.")
@click.option("--entity", help="Keyed by this entity.")
@click.option("--owner", help="Of this owner.")
@click.option("--source", help="Made from this source.")
@click.option("--state", type=click.Choice(["active", "retired"]), help="In this state.")
def show_all(  # noqa: PLR0913, PLR0917 - each is a filter
    text: str | None,
    team: str | None,
    entity: str | None,
    owner: str | None,
    source: str | None,
    state: Literal["active", "retired"] | None,
) -> Answer:
    """List the versions of feature views, all or those that mention TEXT, and how many read each."""
    from loopline.platform_core.features.registry import catalog

    with opened(only=()) as platform:
        found = catalog.views(platform.ledger, catalog.Wanted(team, entity, owner, source, text, state))
        readers = catalog.who_reads(platform.ledger, team)
    counts = [sum(reader.view == record.ref for reader in readers) for record in found]
    data = {"views": [{**_summary(record), "readers": n} for record, n in zip(found, counts, strict=True)]}
    rows = [
        (record.ref, record.state, record.meaning.entity, record.meaning.source, record.owner, n)
        for record, n in zip(found, counts, strict=True)
    ]
    header = ("view", "state", "entity", "source", "owner", "readers")
    return Answer(data, table(rows, header) if rows else "no feature view is registered that fits")


@click.command("show", cls=Command)
@click.argument("view")
def show(view: str) -> Answer:
    """Tell all of VIEW, written `view` or `team/view`: its versions, features, readers, freshness and history."""
    from loopline.platform_core.features.registry import catalog

    with opened(only=("lake",)) as platform, progress(f"reading {view}"):
        found = _versions(platform, view)
        readers = catalog.who_reads(platform.ledger, found[0].ref.team)
        told = [_view_details(platform, record, readers) for record in found]
    return Answer({"versions": told}, "\n\n".join(_text(one) for one in told))


@click.command("retire", cls=Command)
@click.argument("view", metavar="TEAM/VIEW@VERSION")
@click.option("--reason", required=True, help="Why; kept in the ledger.")
@click.option("--by", metavar="NAME", help="Who; you when left out.")
def retire(view: str, reason: str, by: str | None) -> Answer:
    """Retire a version of a feature view that nothing reads and no team declares."""
    from loopline.platform_core import plugins
    from loopline.platform_core.features.registry.registry import FeatureRegistry
    from loopline.platform_core.features.registry.view_ref import ViewRef

    ref = ViewRef.parse(view)
    with opened(only=()) as platform:
        teams = plugins.installed([ref.team]).teams
        record = FeatureRegistry(platform).retire(ref, person(by), reason, teams)
    return Answer(_summary(record), f"{ref} is retired")


def _versions(platform: Platform, name: str) -> list[ViewRecord]:
    from loopline.platform_core.errors import NotFound
    from loopline.platform_core.features.registry import catalog

    team, _, view = name.partition("@")[0].rpartition("/")
    found = [record for record in catalog.views(platform.ledger) if record.ref.view == view]
    found = [record for record in found if team in ("", record.ref.team)]
    if len({record.ref.team for record in found}) != 1:
        problem = "several teams have" if found else "no team has registered"
        raise NotFound(f"{problem} a feature view {view!r}", "write it as team/view; see 'loopline features list'")
    return found


def _summary(record: ViewRecord) -> dict[str, Any]:
    meaning = record.meaning
    settings = {name: getattr(meaning, name) for name in ("entity", "time", "source", "ttl_days", "served")}
    ours = {name: getattr(record, name) for name in ("state", "owner", "description", "registered_at", "registered_by")}
    return {"view": str(record.ref), **ours, **settings, "features": dict(meaning.features), "meaning": meaning.hash}


def _view_details(platform: Platform, record: ViewRecord, readers: Sequence[Reader]) -> dict[str, Any]:
    from loopline.platform_core.features.registry import catalog

    fresh = catalog.freshness(platform, record.ref)
    history = [{"at": m.at, "by": m.by, "what": m.summary} for m in catalog.history(platform.ledger, record.ref)]
    read_by = [str(reader) for reader in readers if reader.view == record.ref]
    ages = {"newest_event": fresh.newest_event, "age_seconds": fresh.age_seconds}
    return {**_summary(record), "readers": read_by, **ages, "history": history}


def _text(told: dict[str, Any]) -> str:
    age = f" ({told['age_seconds'] / 3600:.1f} h old)" if told["age_seconds"] is not None else ""
    rows = [
        ("state", told["state"]),
        ("owner", told["owner"]),
        ("entity", f"{told['entity']}, by {told['time']}, from {told['source']}"),
        ("served", f"{told['served']}, for {told['ttl_days']:g} days" if told["ttl_days"] else told["served"]),
        ("features", ", ".join(f"{name} {kind}" for name, kind in told["features"].items())),
        ("newest event", f"{cell(told['newest_event'])}{age}"),
        ("read by", "; ".join(told["readers"]) or "nothing"),
    ]
    history = [f"  {cell(one['at'])} by {one['by']}: {one['what']}" for one in told["history"]]
    return "\n".join([told["view"], *(f"  {line}" for line in table(rows).splitlines()), *history])
