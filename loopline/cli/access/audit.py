"""Commands ``loopline audit``: keys, sealing, verification and listing of the audit log."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loopline.cli.command import Command, Instant, progress
from loopline.cli.lazy import LazyGroup
from loopline.cli.output import Answer, table
from loopline.cli.subject import opened

if TYPE_CHECKING:
    from loopline.platform_core.audit.findings import Report

_SHOWN = 100
"""Findings that people are shown; programs are given all."""
_HERE = "loopline.cli.access.audit"
_OUT = "loopline.cli.access.audit_export"
_KEPT = "loopline.cli.access.audit_retain"
audit = LazyGroup(
    "audit",
    {
        "init": (f"{_HERE}:init", "Make the key by which the record is signed."),
        "key": (f"{_HERE}:key", "Show the public key, for whoever verifies; of one that is rotated every version."),
        "seal": (f"{_HERE}:seal", "Seal and anchor what is new now; the watchdog does so by itself."),
        "verify": (f"{_HERE}:verify", "Was an entry changed, removed, inserted or reordered? Which?"),
        "retain": (f"{_KEPT}:retain", "Delete entries past their retention; their hashes stay."),
        "list": (f"{_HERE}:list_entries", "Who did what, the newest first."),
        "export": (f"{_OUT}:export", "Write entries with their proofs, or as OCSF or CEF."),
        "prove": (f"{_OUT}:prove", "Write the proof of one entry."),
        "role": (f"{_HERE}:role", "Let a role of PostgreSQL append to the record, and never change it."),
    },
    "Audit log: who decided what, and that nobody rewrote it.",
)


@click.command("init", cls=Command)
@click.option("--file", type=click.Path(path_type=Path), help="Where; <home>/audit/key when left out.")
@click.option("--name", default="loopline-audit", show_default=True, help="The key's name, which signatures bear.")
def init(file: Path | None, name: str) -> Answer:
    """Make a key (Ed25519), for its owner's eyes only, and its public half beside it for whoever verifies."""
    from loopline.platform_core.audit import keys
    from loopline.platform_core.environment import home

    where = file or home() / "audit" / "key"
    key = keys.new(name)
    public = keys.write(key, where)
    text = f"{where} signs, {public} verifies:\n{key.verifying.text}"
    return Answer({"key": where, "public_key": key.verifying.text, "public_file": public}, text)


@click.command("key", cls=Command)
def key() -> Answer:
    """Show the public key by which the record is verified, the newest version first."""
    from loopline.platform_core.audit import place

    with opened(only=()) as platform:
        found = place.verifying_key(platform)
    return Answer({"public_keys": [one.text for one in found.every]}, found.lines)


@click.command("seal", cls=Command)
def seal() -> Answer:
    """Seal what is not sealed, and write the checkpoint to the anchors that the environment binds."""
    from loopline.platform_core.audit import anchoring, place, sealing

    with opened(only=("anchors",)) as platform:
        key = place.signing_key(platform)
        made = sealing.seal(platform.ledger, key)
        anchors = platform.anchors
        anchored = anchoring.anchor(platform.ledger, anchors, key.verifying) if anchors else None
    told = f"{made.size} entries are sealed" if made else "nothing is new"
    kept = f"{anchored.size} are anchored" if anchored else "no new anchor" if anchors else "no anchors are bound"
    return Answer({"size": made and made.size, "anchored": anchored and anchored.size}, f"{told}; {kept}")


@click.command("verify", cls=Command)
@click.option("--key", "given", default="", metavar="KEY", help="The public key, or its file; else the installation's.")
@click.option("--no-ledger", is_flag=True, help="Only the record itself, not also the ledger's entries against it.")
def verify(given: str, no_ledger: bool) -> Answer:
    """Hold the record, and the ledger, against what was sealed, signed and anchored; ends with 1 when it is not so."""
    from dataclasses import replace

    from loopline.platform_core.audit import anchoring, place, verifying
    from loopline.platform_core.loop.ledger import audited

    with opened(only=("anchors",)) as platform, progress("verifying the record"):
        key, anchors = place.verifying_key(platform, given), platform.anchors
        outside = list(anchoring.kept(anchors)) if anchors else []
        with platform.ledger.snapshot() as connection:
            report = verifying.verify(connection, key, outside)
            count, wrong = (0, []) if no_ledger else audited.held(connection)
    report = replace(report, ledger=count, findings=[*report.findings, *wrong])
    return Answer(_data(report), _text(report, bound=anchors is not None), exit_code=0 if report.well else 1)


@click.command("list", cls=Command)
@click.option("--who", default="", help="Only of this person or service.")
@click.option("--what", default="", help="Only this, such as gate.overridden; or 'gate.' for all of a kind.")
@click.option("--team", default="", help="Only of this team.")
@click.option("--model", default="", help="Only of this model.")
@click.option("--since", type=Instant(), help="Only from then on, by the wall's time.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="At most so many.")
def list_entries(  # noqa: PLR0913, PLR0917 - each is a filter
    who: str, what: str, team: str, model: str, since: datetime | None, limit: int
) -> Answer:
    """List entries of the record."""
    from loopline.platform_core.audit.reading import Wanted, newest

    with opened(only=()) as platform, platform.ledger.reading() as connection:
        found, _ = newest(connection, Wanted(who, what, team, model, since), limit)
    rows = [
        (n, e.recorded_at[:19], e.who, e.what, "/".join(filter(None, (e.team, e.model))), e.version, e.reason)
        for n, e in found
    ]
    header = ("entry", "recorded", "who", "what", "model", "version", "reason")
    return Answer({"entries": [{"audit_id": n, **_told(e)} for n, e in found]}, table(rows, header) or "no entry")


@click.command("role", cls=Command)
@click.argument("name")
@click.option("--print", "only_print", is_flag=True, help="Say what would be done, for whoever owns the database.")
@click.option("--keeper", is_flag=True, help="It may also let go of entries past their time: 'audit retain'.")
def role(name: str, only_print: bool, keeper: bool) -> Answer:
    """Grant the role NAME all that the platform does in the ledger's database: of the record, to append and to read.

    The database's owner runs it, once and after each release that changes the schema; the platform then signs in as
    NAME, which must be there and own nothing.
    """
    from loopline.platform_core.loop.ledger import append_only

    with opened(only=()) as platform:
        statements = append_only.statements(platform.ledger, name, keeper=keeper)
        if not only_print:
            append_only.grant(platform.ledger, name, keeper=keeper)
    return Answer({"role": name, "statements": statements, "done": not only_print}, ";\n".join(statements) + ";")


def _told(entry: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return {name: value for name, value in asdict(entry).items() if value not in {"", None}}


def _data(report: Report) -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(report), "well": report.well}


def _text(report: Report, *, bound: bool) -> str:
    rows = [
        (one.kind, *("-" if n is None else n for n in (one.seq, one.audit_id, one.entry_id)), one.said)
        for one in report.findings[:_SHOWN]
    ]
    lines = [table(rows, ("what", "place", "entry", "ledger's", "said"))] if rows else []
    lines.append(
        f"{report.sealed} entries are sealed by {report.checkpoints} checkpoints, {report.pending} are not yet"
    )
    if report.retained:
        lines.append(f"of {report.retained} of them only the hash is kept: retention let go of them in their time")
    if report.ledger:
        lines.append(f"{report.ledger} entries of the ledger were held against them")
    outside = f"{report.anchored} are held outside of the database, by {report.anchors} anchors"
    lines.append(outside if bound else "no anchors are bound: who owns the database and the key could rewrite it")
    return "\n".join([*lines, "all is well" if report.well else _counted(len(report.findings))])


def _counted(findings: int) -> str:
    more = f", of which the first {_SHOWN} are shown" if findings > _SHOWN else ""
    return "1 finding" if findings == 1 else f"{findings} findings{more}"
