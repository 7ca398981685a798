"""Servers without sign-in: warns, and allows them to listen on this machine only."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from loopline.platform_core import environment
from loopline.platform_core.errors import Refused
from loopline.platform_core.sign_in_settings import is_local

if TYPE_CHECKING:
    from loopline.sign_in.desk import Desk

VARIABLE = "LOOPLINE_OPEN"
"""Lets servers listen beyond their machine though nobody signs in: something before them keeps others out."""
HOW = "docs/how-to/sign-in.md"


def said(what: str = "they listen on this machine only") -> str:
    """Say that nobody is asked who he is."""
    return f"open: nobody signs in, and who reaches these pages decides under any name; {what}; see {HOW}"


def desk_of(host: str) -> Desk | None:
    """Return what asks who somebody is, as the environment file in force has it; None, and says so, where nobody does.

    Raises:
        Refused: nobody is asked, and it would listen beyond this machine. InvalidEnvironment, InvalidSpec: the file
        does not hold together. StoreUnavailable: the ledger does not answer.
    """
    if not environment.asks_to_sign_in():
        print(refuse_beyond(host), file=sys.stderr)  # noqa: T201 - a command speaks to its user
        return None
    from loopline.platform_core.loop.ledger.ledger import Ledger
    from loopline.sign_in.desk import Desk

    bound = environment.read(only=())
    return Desk.of(bound, Ledger.open(bound.revealed("ledger")))


def refuse_beyond(host: str, *, anyway: bool = False) -> str:
    """Hold a server that asks nobody to its own machine; returns what is to be said of it.

    Raises:
        Refused: it would listen beyond, and nobody said that it may.
    """
    if is_local(host):
        return said()
    if anyway or os.environ.get(VARIABLE, "") not in {"", "0", "false"}:
        return said(f"it listens at {host}, as {VARIABLE} or --open says")
    raise Refused(
        f"nobody signs in here, so whoever reaches {host} would decide under any name",
        f"add sign_in to the environment file ({HOW}), listen at 127.0.0.1, or say --open or {VARIABLE}=1 where "
        "something else keeps others out",
    )
