"""Role-based access to Dagster's web server: assembles the checks of routes and mutations."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from loopline.platform_core.errors import Denied
from loopline.platform_core.identity.caller import caller_of
from loopline.up.rights.entries import Entry, refuse_printed
from loopline.up.rights.mutations import WHOLE, needed
from loopline.up.rights.permissions import ACTIONS, INSTANCE, REPORT, RUN
from loopline.up.rights.policies import Policies

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from loopline.asset_defs.private.dagster_web_private import Given, Scope
    from loopline.asset_defs.private.dagster_web_things import Things
    from loopline.platform_core.identity.caller import Caller
    from loopline.platform_core.platform import Platform


class Roles:
    """Doors that open by roles; see ``dagster_web_private.Doors``."""

    def __init__(self, opened: Callable[[], Platform]) -> None:
        """Take what opens the platform."""
        self.policies = Policies(opened)

    def asks(self, scope: Scope) -> bool:
        """Say whether somebody has signed in, no program of the platform's own; else all stays as Dagster has it."""
        caller = caller_of(scope)
        return caller is not None and not caller.is_platform

    def launcher(self, scope: Scope) -> str:
        """Return the caller's name."""
        return _caller(scope).name

    def why_not(self, scope: Scope, permission: str, locations: Sequence[str]) -> str:
        """Say why a permission is not given in all of some locations, "" where it is."""
        action = ACTIONS.get(permission)
        if action is None:
            return f"nobody has said who may {permission!r}"
        asked = [WHOLE] if action == INSTANCE else locations
        found = (self.policies.why_not(_caller(scope), action, location) for location in asked)
        return str(next(filter(None, found), ""))

    def hides_settings(self, scope: Scope) -> bool:
        """Keep the instance's settings from whoever may not change them: a database's password may stand there."""
        return bool(self.policies.why_not(_caller(scope), INSTANCE, WHOLE))

    def change(self, scope: Scope, name: str, things: Things, given: Given) -> None:
        """Hold a mutation to what it needs, and write down that it is done.

        Raises:
            Denied: it is not, or nobody has said who may. LooplineError: nothing could be asked.
        """
        needs = needed(name, things, given)
        if needs is None:
            raise Denied(f"nobody has said who may {name}", "name what it needs beside the others, in mutations.py")
        self.policies.insist(_caller(scope), _subject(name, needs, given), needs, _digest(given))

    def report(self, scope: Scope, locations: Iterable[str], asset: str) -> None:
        """Hold whoever reports an event of an asset over HTTP to the right, and write it down.

        Raises:
            Denied: this one may not. LooplineError: nothing could be asked.
        """
        route = getattr(scope["endpoint"], "__name__", "").removesuffix("_endpoint")
        needs = [(REPORT, location) for location in sorted(locations)]
        self.policies.insist(_caller(scope), f"{route} of {asset}", needs)

    def read_printed(self, scope: Scope, things: Things, log_key: Sequence[str]) -> None:
        """Hold whoever reads what a run printed to the runs of their teams.

        Raises:
            Denied: it is another's.
        """
        refuse_printed(self.policies, _caller(scope), things, list(log_key))

    def evaluate(self, scope: Scope, location: str, name: str) -> None:
        """Hold whoever has a schedule's or sensor's code run for its answer to the right, and write it down.

        Raises:
            Denied: this one may not. LooplineError: nothing could be asked.
        """
        self.policies.insist(_caller(scope), f"evaluationResult of {name}", [(RUN, location)])

    def entry(self, path: str, app: ASGIApp, things: Callable[[], Things]) -> ASGIApp:
        """Return what stands before a route."""
        return Entry(path, app, things, self.policies)


def _caller(scope: Scope) -> Caller:
    found = caller_of(scope)
    if found is None:
        raise Denied("nobody has signed in", "sign in")
    return found


_ABOUT = ("runId", "runIds", "backfillId", "concurrencyKey", "partitionsDefName")


def _subject(name: str, needs: Iterable[tuple[str, str]], given: Given) -> str:
    """Name a mutation, the locations in which it acts, and what of its arguments is short enough to be told."""
    locations = sorted({location for _, location in needs if location != WHOLE})
    where = [f"in {', '.join(locations)}"] if locations else []
    about = [f"{key} {given[key]}" for key in _ABOUT if given.get(key)]
    return " ".join((name, *where, *about))


def _digest(given: Given) -> str:
    """Return what makes arguments these very ones, for four eyes."""
    return hashlib.sha256(json.dumps(given, sort_keys=True, default=str).encode()).hexdigest()[:16]
