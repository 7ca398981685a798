"""Tenant provisioning: create, suspend, resume and delete, in steps that can be resumed.

Each is begun anew after it was cut off anywhere, and ends where it would have; what a tenant has is lost by ``delete``
alone. A step says what it did; with ``pretend`` it says what it would do, and does nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

from loopline.platform_core import suspension
from loopline.platform_core.contracts.tenant_store import TenantStore
from loopline.platform_core.errors import LooplineError, NotFound, Permanent, Refused
from loopline.platform_core.tenants import place as places
from loopline.platform_core.tenants import state
from loopline.platform_core.tenants.names import checked
from loopline.platform_core.tenants.operators import Operators
from loopline.platform_core.tenants.place import Place
from loopline.platform_core.tenants.state import State, Tenant

_PASSWORD_BYTES = 32


@dataclass(frozen=True)
class Wanted:
    """What is asked: of which tenant, by whom, when and why; with ``pretend`` nothing is changed."""

    name: str
    by: str
    at: datetime
    reason: str = ""
    pretend: bool = False


@dataclass(frozen=True)
class Step:
    """A part of it: what it does, and how."""

    does: str
    act: Callable[[], object]


@dataclass
class Done:
    """What was done, or would be: a line a step; ``proof`` names what is left in each store after a deletion."""

    tenant: Tenant
    steps: list[str] = field(default_factory=list)
    proof: dict[str, list[str]] | None = None


def create(operators: Operators, wanted: Wanted, user: str = "", *, rotate: bool = False) -> Done:
    """Make a tenant, or complete or mend one; with ``rotate`` it gets other passwords, and its old ones end.

    Raises:
        InvalidSpec: the name is none. Refused: it is suspended, or is being deleted, or somebody else changes tenants.
        LooplineError: as a store raises; what was done until then stays, and the next call goes on.
    """
    with _begun(operators, wanted):
        there = state.found(operators, wanted.name)
        if there is not None and there.state in {"suspended", "deleting"}:
            command = "resume" if there.state == "suspended" else "delete"
            raise Refused(
                f"tenant {wanted.name} is {_WORDS[there.state]} since {there.at} by {there.by}",
                f"run 'loopline tenant {command} {wanted.name}' first",
            )
        tenant = _owned(operators, wanted, user, there)
        return _run(operators, wanted, tenant, _making(operators, tenant, rotate), "active")


def suspend(operators: Operators, wanted: Wanted) -> Done:
    """Stop a tenant's work, and keep what it has; where one store does not answer, the others are shut all the same.

    Raises:
        NotFound: there is none. Refused: it is being made or deleted. LooplineError: a store's; do it again.
    """
    with _begun(operators, wanted):
        there = _there(operators, wanted)
        tenant = _become(there, wanted, "suspended")
        return _run(operators, wanted, tenant, _shutting(operators, tenant, wanted), "suspended")


def resume(operators: Operators, wanted: Wanted) -> Done:
    """Let a tenant in again, to all that it has.

    Raises:
        As ``suspend`` raises.
    """
    with _begun(operators, wanted):
        there = _there(operators, wanted)
        mark = place_of(operators, there).folder / suspension.MARK
        steps = _at_each(operators, "open {}", lambda store: store.resume(there.name))
        steps.append(Step(f"take {suspension.MARK} away", partial(mark.unlink, missing_ok=True)))
        try:
            return _run(operators, wanted, there, steps, "active")
        except LooplineError:
            if there.state == "suspended":
                _shut_again(operators, there)
            raise


def _shut_again(operators: Operators, tenant: Tenant) -> None:
    """Let nobody who is suspended keep a store that opened before another one did not."""
    for name in operators.stores:
        with suppress(LooplineError):
            operators.stores[name].suspend(tenant.name)


def delete(operators: Operators, wanted: Wanted) -> Done:
    """Remove a tenant, and prove that nothing is left: each store is asked afterwards what it holds.

    Harmless where there is none: then nothing is removed, and that is proven.

    Raises:
        InvalidSpec: the name is none. Permanent: something is left; it is named, and the next call tries again.
        LooplineError: as a store raises.
    """
    with _begun(operators, wanted):
        there = state.found(operators, wanted.name) or _named(wanted, "deleting")
        place = place_of(operators, there)
        steps = [
            *_shutting(operators, there, wanted),
            *_at_each(operators, "remove its place and user in {}", lambda store: store.delete(there.name)),
            Step(f"remove its folder {place.folder}", place.remove),
        ]
        if wanted.pretend:
            return _pretended(there, steps)
        done = _carried_out(operators, wanted, _become(there, wanted, "deleting"), steps)
        done.proof = {
            **{name: list(operators.stores[name].holds(there.name)) for name in operators.stores},
            "folder": list(place.left()),
        }
        left = [each for names in done.proof.values() for each in names]
        _record(operators, wanted, "deleted" if not left else "not deleted", done)
        if left:
            raise Permanent(f"of tenant {there.name} is left: {', '.join(left)}", "remove that, then delete it again")
        state.forget(operators, there.name)
        return done


def held(operators: Operators, tenant: Tenant) -> dict[str, dict[str, Any]]:
    """Ask each store about a tenant: whether it may come in, what there is of it, how many bytes.

    Raises:
        LooplineError: as a store raises.
    """
    stores = {
        name: {
            "open": store.is_open(tenant.name),
            "holds": list(store.holds(tenant.name)),
            "bytes": store.stored_bytes(tenant.name),
        }
        for name, store in ((name, operators.stores[name]) for name in operators.stores)
    }
    place = place_of(operators, tenant)
    return {**stores, "folder": {"open": None, "holds": list(place.left()), "bytes": place.stored_bytes()}}


def place_of(operators: Operators, tenant: Tenant) -> Place:
    """Return the folder of a tenant."""
    return Place(operators.root / checked(tenant.name), tenant.user, tenant.group)


_WORDS = {"suspended": "suspended", "deleting": "being deleted", "creating": "being made", "active": "active"}


def _begun(operators: Operators, wanted: Wanted) -> AbstractContextManager[None]:
    """Hold the lock while it is done; whoever only pretends waits for nobody."""
    checked(wanted.name)
    return nullcontext() if wanted.pretend else state.locked(operators)


def _named(wanted: Wanted, now: State) -> Tenant:
    return Tenant(wanted.name, now, wanted.at.isoformat(timespec="seconds"), wanted.by, reason=wanted.reason)


def _become(there: Tenant, wanted: Wanted, now: State) -> Tenant:
    return replace(_named(wanted, now), user=there.user, group=there.group)


def _there(operators: Operators, wanted: Wanted) -> Tenant:
    there = state.found(operators, wanted.name)
    if there is None:
        names = ", ".join(one.name for one in state.known(operators)) or "none"
        raise NotFound(f"there is no tenant {wanted.name!r}", f"there are {names}")
    if there.state not in {"active", "suspended"}:
        command = "create" if there.state == "creating" else "delete"
        raise Refused(
            f"tenant {there.name} is {_WORDS[there.state]} since {there.at} by {there.by}",
            f"run 'loopline tenant {command} {there.name}' to its end first",
        )
    return there


def _owned(operators: Operators, wanted: Wanted, user: str, there: Tenant | None) -> Tenant:
    """Return the tenant that is made, with the account whose its files are.

    Raises:
        Refused: the account, or its group, is another tenant's; or the tenant has another one.
    """
    tenant = _named(wanted, "creating")
    if not user:
        return _become(there, wanted, "creating") if there else tenant
    uid, gid = places.account(user)
    if there is not None and there.state == "active" and there.user != uid:
        raise Refused(
            f"the files of tenant {there.name} are those of {there.user if there.user is not None else 'the operator'}",
            "leave --user away, or delete the tenant and make it anew",
        )
    others = ((one.name, one.user, one.group) for one in state.known(operators) if one.name != wanted.name)
    if other := places.others_in(others, uid, gid):
        raise Refused(
            f"{user} has the user or the group of tenant {other}, which would read its files",
            "give each tenant an account and a group of its own",
        )
    return replace(tenant, user=uid, group=gid)


def _making(operators: Operators, tenant: Tenant, rotate: bool) -> list[Step]:
    place = place_of(operators, tenant)

    def provision(name: str) -> None:
        kept = place.secret(name)
        if rotate:  # whoever is inside by the old password goes with it
            operators.stores[name].suspend(tenant.name)
        password = secrets.token_urlsafe(_PASSWORD_BYTES) if rotate or not kept else kept["password"]
        place.keep_secret(name, {**kept, "password": password})
        given = operators.stores[name].create(tenant.name, password)
        place.keep_secret(name, {**given, "password": password})

    def write_environment() -> None:
        place.write(place.environment, operators.environment_of(tenant.name, place.folder))

    return [
        Step(f"make its folder {place.folder}", place.make),
        *[Step(f"make its place in {name}", partial(provision, name)) for name in operators.stores],
        Step(f"write {place.environment}", write_environment),
    ]


def _shutting(operators: Operators, tenant: Tenant, wanted: Wanted) -> list[Step]:
    place = place_of(operators, tenant)
    words = suspension.words(wanted.by, wanted.at.isoformat(timespec="seconds"), wanted.reason)

    def say_so() -> None:
        if place.folder.is_dir():
            place.write(place.folder / suspension.MARK, words)

    return [
        Step(f"say in {suspension.MARK} that it is suspended", say_so),
        *_at_each(operators, "shut it out of {}", lambda store: store.suspend(tenant.name)),
    ]


def _at_each(operators: Operators, does: str, act: Callable[[TenantStore], object]) -> list[Step]:
    """Return a step a store; each is bound when its step is done, so that one that cannot be holds no other up."""

    def at(name: str) -> None:
        act(operators.stores[name])

    return [Step(does.format(name), partial(at, name)) for name in operators.stores]


def _run(operators: Operators, wanted: Wanted, tenant: Tenant, steps: Sequence[Step], ends: State) -> Done:
    """Do the steps, or say what they would do; the tenant is what it is while they are done, and ends as ``ends``."""
    if wanted.pretend:
        return _pretended(tenant, steps)
    done = _carried_out(operators, wanted, tenant, steps, goes_on=ends == "suspended")
    done.tenant = _become(tenant, wanted, ends)
    _record(operators, wanted, ends, done)
    state.save(operators, done.tenant)
    return done


def _pretended(tenant: Tenant, steps: Sequence[Step]) -> Done:
    return Done(tenant, [f"would {step.does}" for step in steps])


def _carried_out(
    operators: Operators, wanted: Wanted, tenant: Tenant, steps: Sequence[Step], *, goes_on: bool = False
) -> Done:
    """Do the steps; one that cannot be done ends it, or where it ``goes_on`` the others are done all the same.

    Raises:
        LooplineError: the first step's that could not be done.
    """
    state.save(operators, tenant)
    done, failed = Done(tenant), []
    for step in steps:
        try:
            step.act()
        except LooplineError as error:
            _record(operators, wanted, f"{tenant.state}, cut off at: {step.does}", done, str(error))
            if not goes_on:
                raise
            failed.append(error)
        else:
            done.steps.append(step.does)
    if failed:
        raise failed[0]
    return done


def _record(operators: Operators, wanted: Wanted, now: str, done: Done, problem: str = "") -> None:
    entry: Mapping[str, Any] = {
        "at": wanted.at.isoformat(timespec="seconds"),
        "by": wanted.by,
        "tenant": wanted.name,
        "now": now,
        "reason": wanted.reason,
        "steps": done.steps,
    }
    more = {"problem": problem} if problem else {}
    state.record(operators, {**entry, **more, **({} if done.proof is None else {"left": done.proof})})
