"""Health check of every part of an installation: ``python -m loopline.up.answering``, as ``helm test`` runs it.

One line a part; exit code 1 when one does not answer within its time, with why. Where people sign in it asks as a
program of the platform's own does, by the ledger of the environment file in force.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial

from loopline.graphql import Dagster
from loopline.platform_core import environment
from loopline.platform_core.errors import LooplineError, StoreUnavailable

SILENCE_SECONDS = 120
"""A daemon that sent no heartbeat for so long is dead; it sends one every 30 s."""
_ONE_SECONDS = 10


def main() -> int:
    """Ask until all answer, or the time is over."""
    parser = argparse.ArgumentParser(prog="python -m loopline.up.answering", description=__doc__)
    parser.add_argument("--dagster", required=True, help="the web server's base URL")
    parser.add_argument("--page", action="append", default=[], metavar="URL", help="a page that has to be there")
    parser.add_argument("--team", action="append", default=[], help="a team that has to be loaded")
    parser.add_argument("--seconds", type=float, default=120, help="how long to go on asking")
    given = parser.parse_args()
    until = time.monotonic() + given.seconds
    dagster = Dagster(f"{given.dagster.rstrip('/')}/graphql", _ONE_SECONDS, _asking())
    looks: dict[str, Callable[[], None]] = {team: partial(loaded, dagster, team) for team in given.team}
    looks |= {"daemon": partial(beating, dagster)} | {page: partial(opens, page) for page in given.page}
    answers = [_answers(name, look, until) for name, look in looks.items()]  # each is told
    return 0 if all(answers) else 1


def loaded(dagster: Dagster, team: str) -> None:
    """Take a team whose code location is loaded.

    Raises:
        StoreUnavailable: it is not there, still loading, or broken; the problem says why.
    """
    found = {location.name: location for location in dagster.locations()}.get(team)
    if found is None or found.state != "loaded":
        reason = f"{found.state}: {found.reason}" if found else "Dagster does not know it"
        raise StoreUnavailable(f"team {team} is not loaded: {reason}", "read the log of its code location")


def beating(dagster: Dagster) -> None:
    """Take a daemon of which every required part sent a heartbeat lately.

    Raises:
        StoreUnavailable: some have not.
    """
    parts, oldest = dagster.daemons(), time.time() - SILENCE_SECONDS
    silent = [one.name for one in parts if not one.healthy or one.heartbeat < oldest]
    if silent or not parts:
        raise StoreUnavailable(f"no heartbeat of {', '.join(silent) or 'any daemon'}", "read the daemon's log")


def opens(page: str) -> None:
    """Take a page that answers with 200, or asks to sign in.

    Raises:
        StoreUnavailable: it answers otherwise, or not at all.
    """
    import httpx

    try:
        status = httpx.get(page, timeout=_ONE_SECONDS, trust_env=False).status_code
    except httpx.HTTPError as error:
        raise StoreUnavailable(f"{page} does not answer: {error}", "read the log of its process") from error
    if status not in {httpx.codes.OK, httpx.codes.UNAUTHORIZED}:
        raise StoreUnavailable(f"{page} answers {status}", "read the log of its process")


def _asking() -> Callable[[], Mapping[str, str]]:
    """Return what gives the headers by which Dagster knows who asks; none where nobody is asked."""
    if not environment.environment_file().exists() or not environment.asks_to_sign_in():
        return dict
    from loopline.platform_core.platform import Platform
    from loopline.sign_in.own import Own

    return Own(Platform(environment.read(only=())))


def _answers(name: str, look: Callable[[], None], until: float) -> bool:
    """Look again until it answers; whatever time is left, once."""
    while True:
        try:
            look()
        except LooplineError as error:
            if time.monotonic() > until:
                print(f"{name}: {error.problem}\n→ {error.fix}", file=sys.stderr)  # noqa: T201 - a command speaks
                return False
            time.sleep(1)
        else:
            print(f"{name} answers")  # noqa: T201
            return True


if __name__ == "__main__":
    sys.exit(main())
