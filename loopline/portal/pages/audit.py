"""Pages of the audit log: entries, their proofs, and the export."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, ClassVar

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy import Connection

from loopline.platform_core.audit import exporting, recording
from loopline.platform_core.audit.entry import AuditEntry, shown
from loopline.platform_core.audit.reading import Wanted, bodies, newest
from loopline.platform_core.errors import Denied, NotFound
from loopline.platform_core.policies import asking
from loopline.platform_core.policies.question import EVERYTHING, Asked
from loopline.portal.page import Page
from loopline.portal.page_request import CurrentRequest
from loopline.portal.pages.params import Before, Size, Text

router = APIRouter()
SIZE, MOST = 50, 20_000
"""Entries of a page, and how many are looked at for them: a filter that takes few does not read years at once."""
Number = Annotated[int, Path(ge=1, le=2**63 - 1)]
Outcome = Annotated[str, Query(pattern=r"^(|done|denied)$")]


@dataclass(frozen=True)
class AuditRow:
    """One entry, in short; ``about`` is a model, or what else it is about."""

    number: int
    recorded_at: datetime
    who: str
    what: str
    about: str
    version: str
    policy: str
    source: str
    outcome: str
    reason: str


@dataclass(frozen=True)
class AuditPage(Page):
    """A page of the record, the newest first; ``more`` is the number before which it goes on, None at its end."""

    template: ClassVar[str] = "audit.html"
    section: ClassVar[str] = "/audit"
    who: str
    what: str
    team: str
    model: str
    outcome: str
    entries: list[AuditRow]
    more: int | None

    @property
    def title(self) -> str:
        """Return what the list is of."""
        return "Audit"

    @property
    def query(self) -> dict[str, str]:
        """Return the filters that are set."""
        named = ("who", "what", "team", "model", "outcome")
        return {name: value for name in named if (value := getattr(self, name))}


@dataclass(frozen=True)
class AuditEntryPage(Page):
    """One entry, all that it says; ``proof`` is that it is in the tree that was signed, "" before it is sealed."""

    template: ClassVar[str] = "audit_entry.html"
    section: ClassVar[str] = "/audit"
    number: int
    said: dict[str, str]
    proof: str
    unsealed: str

    @property
    def title(self) -> str:
        """Return which one it is."""
        return f"Entry {self.number}"

    @property
    def crumbs(self) -> list[tuple[str, str]]:
        """Return the list that it is of."""
        return [("Audit", "/audit")]


@router.get("/audit", response_model=AuditPage)
def page(  # noqa: PLR0913, PLR0917 - each is a filter
    ask: CurrentRequest,
    who: Text = "",
    what: Text = "",
    team: Text = "",
    model: Text = "",
    outcome: Outcome = "",
    before: Before = None,
    size: Size = SIZE,
) -> Response:
    """List entries."""
    wanted = Wanted(who, what, team, model, outcome=outcome)
    with ask.platform.ledger.reading() as connection:
        found, more = newest(connection, wanted, size, before, MOST)
    rows = [_row(number, entry) for number, entry in found]
    return ask.answer(AuditPage(who, what, team, model, outcome, rows, more))


@router.get(
    "/audit/export",
    response_class=Response,
    responses={200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}},
)
def export(  # noqa: PLR0913, PLR0917 - each is a filter
    ask: CurrentRequest, who: Text = "", what: Text = "", team: Text = "", model: Text = "", outcome: Outcome = ""
) -> Response:
    """Hand out sealed entries with their proofs, a line of JSON each; that it was done is an entry too.

    Raises:
        Denied: a policy does not let whoever asks, or nobody has proven who asks.
    """
    caller, guarded = ask.caller, ask.platform.environment.access is not None
    if caller is None and guarded:
        raise Denied("nobody has signed in, so nobody can be asked about", "sign in, or use 'loopline audit export'")
    by = caller.name if caller else "somebody at the portal"
    groups = caller.groups if caller else frozenset()
    asked = Asked("export record", EVERYTHING)
    policy = asking.refuse_denied(ask.platform, by, asked, groups=groups)
    with ask.platform.ledger.snapshot() as connection:
        lines = list(exporting.proven(connection, Wanted(who, what, team, model, outcome=outcome)))
    told = {"subject": "the portal", "reason": f"{len(lines)} lines, proofs", "policy": policy}
    recording.note(ask.platform.ledger, "audit.exported", by, **told)
    named = {"content-disposition": 'attachment; filename="audit.jsonl"'}
    return Response("".join(f"{line}\n" for line in lines), media_type="application/x-ndjson", headers=named)


@router.get("/audit/{number}", response_model=AuditEntryPage)
def one(ask: CurrentRequest, number: Number) -> Response:
    """Show an entry and its proof.

    Raises:
        NotFound: there is no such entry.
    """
    with ask.platform.ledger.snapshot() as connection:
        ((_, body),) = bodies(connection, [number])
        proof, unsealed = _proof(connection, number)
    said = {name: str(value) for name, value in asdict(shown(body)).items() if value not in {"", None}}
    return ask.answer(AuditEntryPage(number, said, proof, unsealed))


def _proof(connection: Connection, number: int) -> tuple[str, str]:
    try:
        return "\n".join(exporting.proof(connection, number)), ""
    except NotFound as error:
        return "", error.fix


def _row(number: int, entry: AuditEntry) -> AuditRow:
    recorded = datetime.fromisoformat(entry.recorded_at)
    plain = {name: getattr(entry, name) for name in ("who", "what", "version", "policy", "source", "outcome", "reason")}
    return AuditRow(number=number, recorded_at=recorded, about=entry.about, **plain)
