"""Temporary roles: requested by one person, granted by another, expiring by themselves; kept in the ledger."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select

from loopline.platform_core.errors import NotFound, Refused, Unsupported
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.ledger.ledger import Entry, append
from loopline.platform_core.policies import rules
from loopline.platform_core.policies.question import LOOP, OF_TEAMS, PLATFORM, ROLES, Resource
from loopline.platform_core.policies.roles import Roles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from sqlalchemy import Connection

    from loopline.platform_core.environment import Environment
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.policies.rules import Rules

REQUESTED, GRANTED, ENDED = "access.requested", "access.granted", "access.ended"
REFUSED = "access.refused"
MOST_HOURS = 7 * 24
"""What nobody may ask for longer than; whoever needs a role for ever stands in the file of roles."""
WAITS_HOURS = 7 * 24
"""So long a request waits to be granted."""
MOST_WAITING = 20
"""Nobody has more requests that wait: those who grant have to read them all."""
_NOWHERE = ModelRef("", "")
_entry = tables.entries.c


@dataclass(frozen=True)
class Loan:
    """A role that somebody asked for, and has until ``until`` once ``by`` has granted it; ``number`` names it.

    ``answer`` is what was said by whoever granted, refused or ended it last.
    """

    number: int
    person: str
    team: str
    role: str
    hours: float
    reason: str
    asked_at: datetime
    by: str = ""
    until: datetime | None = None
    ended_by: str = ""
    refused_by: str = ""
    answer: str = ""

    @property
    def named(self) -> str:
        """Return the role as policies name it."""
        return f"{self.team}/{self.role}"

    def state(self, now: datetime) -> str:
        """Say whether it is ``asked``, ``granted``, ``refused`` or ``ended``."""
        if self.refused_by or self.ended_by:
            return "refused" if self.refused_by else "ended"
        if self.until is not None:
            return "granted" if now < self.until else "ended"
        return "asked" if now < self.waits_until else "ended"

    @property
    def answered_by(self) -> str:
        """Return who granted, refused or ended it last; "" for nobody."""
        return self.ended_by or self.refused_by or self.by

    @property
    def waits_until(self) -> datetime:
        """Return when nobody can grant it any more."""
        return self.asked_at + timedelta(hours=WAITS_HOURS)


def request(platform: Platform, person: str, named: str, hours: float, reason: str) -> Loan:
    """Ask for a role, ``team/role`` or ``platform/role``, for so many hours from when it is granted.

    Raises:
        NotFound: there is no such role. Refused: nobody gets it for so long, the same was asked for already, or too
        much of what the person asked for waits.
    """
    team, role = _parsed(platform.environment, named)
    if not 0 < hours <= MOST_HOURS:
        raise Refused(
            f"nobody gets a role for {hours:g} hours", f"ask for up to {MOST_HOURS}, or for a line in the file of roles"
        )
    now = platform.clock.now()
    with platform.ledger.writing(_NOWHERE) as connection:
        own = [one for one in _all(connection, now) if _same(one.person, person)]
        for one in own:
            if (one.team, one.role) == (team, role) and one.state(now) in {"asked", "granted"}:
                problem = f"request {one.number} of {person} for {named} is {one.state(now)} already"
                raise Refused(problem, "see 'loopline access list'")
        if sum(one.state(now) == "asked" for one in own) >= MOST_WAITING:
            problem = f"{MOST_WAITING} requests of {person} wait already"
            raise Refused(problem, "wait until somebody has answered them, or let them be refused")
        details: dict[str, Any] = {"person": person, "team": team, "role": role, "hours": hours}
        number = append(connection, Entry(REQUESTED, now, actor=person, reason=reason, details=details))
    return Loan(number, person, team, role, hours, reason, now)


def grant(platform: Platform, by: str, number: int, reason: str) -> Loan:
    """Give what was asked for, from now on.

    Raises:
        NotFound: nothing of that number is asked for. Refused: it is one's own, or no more waiting.
    """
    now = platform.clock.now()
    with platform.ledger.writing(_NOWHERE) as connection:
        loan = _one(connection, number, now)
        if loan.state(now) != "asked":
            raise Refused(f"request {number} is {loan.state(now)}", "ask anew: 'loopline access request'")
        if _same(loan.person, by):
            raise Refused(f"{by} asked for {loan.named} and cannot grant it", "let another person grant it")
        until = now + timedelta(hours=loan.hours)
        details: dict[str, Any] = {"request": number, "until": until.isoformat()}
        append(connection, Entry(GRANTED, now, actor=by, reason=reason, details=details))
    return replace(loan, by=by, until=until, answer=reason)


def refuse(platform: Platform, by: str, number: int, reason: str) -> Loan:
    """Refuse what is asked for; the reason is for who asked.

    Raises:
        NotFound: nothing of that number is asked for. Refused: it waits no more.
    """
    now = platform.clock.now()
    with platform.ledger.writing(_NOWHERE) as connection:
        loan = _one(connection, number, now)
        if loan.state(now) != "asked":
            raise Refused(f"request {number} is {loan.state(now)}", "only what waits can be refused")
        append(connection, Entry(REFUSED, now, actor=by, reason=reason, details={"request": number}))
    return replace(loan, refused_by=by, answer=reason)


def end(platform: Platform, by: str, number: int, reason: str) -> Loan:
    """Take back what was granted, or what is asked for.

    Raises:
        NotFound: nothing of that number is there. Refused: it has ended.
    """
    now = platform.clock.now()
    with platform.ledger.writing(_NOWHERE) as connection:
        loan = _one(connection, number, now)
        if loan.state(now) not in {"asked", "granted"}:
            raise Refused(f"request {number} is {loan.state(now)}", "there is nothing to take back")
        append(connection, Entry(ENDED, now, actor=by, reason=reason, details={"request": number}))
    return replace(loan, ended_by=by, answer=reason)


def loans(platform: Platform) -> list[Loan]:
    """Return what was asked for of late, the newest first."""
    with platform.ledger.reading() as connection:
        return _all(connection, platform.clock.now())[::-1]


def loan(platform: Platform, number: int) -> Loan:
    """Return one.

    Raises:
        NotFound: nothing of that number was asked for of late.
    """
    with platform.ledger.reading() as connection:
        return _one(connection, number, platform.clock.now())


def resource(environment: Environment, named: str) -> Resource:
    """Return a role as policies see what is granted.

    Raises:
        NotFound: there is no such role.
    """
    team, role = _parsed(environment, named)
    return Resource("Grant", f"{team}/{role}", team)


def rules_of(platform: Platform) -> Rules | None:
    """Return who may do what now, with the roles that people have for a while; None where nothing is said of access.

    Raises:
        InvalidEnvironment: the files do not hold together.
    """
    return None if platform.environment.access is None else rules_with(platform, loans(platform))


def rules_with(platform: Platform, known: Sequence[Loan]) -> Rules | None:
    """Return the same by loans that were read already.

    Raises:
        InvalidEnvironment: the files do not hold together.
    """
    found, now = rules.of(platform.environment), platform.clock.now()
    standing = [one for one in known if one.state(now) == "granted"]
    return _lent(found, standing) if found is not None and standing else found


def answerable(
    platform: Platform, found: Rules, known: Sequence[Loan], person: str, groups: frozenset[str] = frozenset()
) -> set[int]:
    """Return the numbers of those loans that a person may grant, refuse or end; nobody answers what they asked for."""
    here = rules.circumstances(platform.environment)
    others = [one for one in known if one.until is not None or not _same(one.person, person)]
    may = {
        named: found.engine.decide(
            found.question(person, "grant role", resource(platform.environment, named), here, groups)
        ).allowed
        for named in {one.named for one in others}
    }
    return {one.number for one in others if may[one.named]}


def who_grants(platform: Platform, named: str, person: str = "") -> list[str]:
    """Name who may grant a role now, groups among them; ``person``, who asks for it, does not.

    Raises:
        NotFound: there is no such role. InvalidEnvironment: the files do not hold together.
    """
    found, here = rules_of(platform), rules.circumstances(platform.environment)
    what = resource(platform.environment, named)
    if found is None:
        return []
    people = [name for name, _ in found.who_can("grant role", what, here) if not _same(name, person)]
    return people + found.groups_that_can("grant role", what, here)


def refuse_without_rules(platform: Platform) -> None:
    """Refuse to lend roles where nobody can lack one.

    Raises:
        Unsupported: the environment says nothing of access.
    """
    if platform.environment.access is None:
        raise Unsupported(
            "the environment file says nothing of access, so everybody may decide and nobody needs a role",
            "see docs/how-to/say-who-may-decide.md",
        )


def _lent(found: Rules, standing: list[Loan]) -> Rules:
    """Return the same object while nothing has changed: answers are kept by it."""
    global _last  # noqa: PLW0603 - one a process, and whatever stands in it is compared first
    if _last is None or _last[0] is not found or _last[1] != standing:
        _last = found, standing, replace(found, roles=_with(found.roles, standing))
    return _last[2]


_last: tuple[Rules, list[Loan], Rules] | None = None


def _with(roles: Roles, standing: list[Loan]) -> Roles:
    held: dict[str, Mapping[str, frozenset[str]]] = dict(roles.held)
    for one in standing:
        own = held.get(one.person, {})
        held[one.person] = {**own, one.team: own.get(one.team, frozenset()) | {one.role}}
    return replace(roles, held=held)


def _same(one: str, other: str) -> bool:
    """Say whether two names are one person's, as the file of roles sees it."""
    return one.casefold() == other.casefold()


def _parsed(environment: Environment, named: str) -> tuple[str, str]:
    team, slash, role = named.partition("/")
    team = team if team == PLATFORM else environment.sites.base(team)
    known = ROLES if team == PLATFORM else OF_TEAMS
    if not slash or not team or team == LOOP or role not in known:
        raise NotFound(f"{named!r} is no role", f"write team/role, or platform/role, of {', '.join(known)}")
    return team, role


def _one(connection: Connection, number: int, now: datetime) -> Loan:
    for one in _all(connection, now):
        if one.number == number:
            return one
    raise NotFound(f"no role was asked for as number {number} of late", "list them with 'loopline access list'")


def _all(connection: Connection, now: datetime) -> list[Loan]:
    """Return what may still matter, the oldest first: what is older has neither a grant nor time left."""
    since = now - timedelta(hours=WAITS_HOURS + MOST_HOURS)
    query = (
        select(_entry.entry_id, _entry.kind, _entry.actor, _entry.reason, _entry.at, _entry.details)
        .where(_entry.kind.in_((REQUESTED, GRANTED, REFUSED, ENDED)), _entry.at > since)
        .order_by(_entry.entry_id)
    )
    found: dict[int, Loan] = {}
    for row in connection.execute(query):
        said = row.details
        if row.kind == REQUESTED:
            asked = (said["person"], said["team"], said["role"], said["hours"], row.reason, row.at)
            found[row.entry_id] = Loan(row.entry_id, *asked)
        elif (one := found.get(said["request"])) is not None:
            found[one.number] = replace(one, answer=row.reason, **_changed(row.kind, row.actor, said))
    return list(found.values())


def _changed(kind: str, actor: str, said: Mapping[str, Any]) -> dict[str, Any]:
    if kind == GRANTED:
        return {"by": actor, "until": datetime.fromisoformat(said["until"])}
    return {"refused_by" if kind == REFUSED else "ended_by": actor}
