"""Audit entries of sign-ins, failed sign-ins, sign-outs and account changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.platform_core.audit import recording

if TYPE_CHECKING:
    from loopline.platform_core.identity.caller import Caller
    from loopline.platform_core.loop.ledger.ledger import Ledger

LOCAL = "accounts"
"""What is written in place of the issuer where a small team's own accounts vouch."""
SOMEBODY = "somebody"
"""Who failed without being known: what was typed as a name may be a password."""


def signed_in(ledger: Ledger, caller: Caller) -> None:
    """Record that somebody signed in."""
    recording.note(ledger, "person.signed_in", caller.name, subject=caller.issuer or LOCAL)


def signed_out(ledger: Ledger, caller: Caller, where: str = "") -> None:
    """Record that somebody signed out; ``where`` says so if it was not here."""
    recording.note(ledger, "person.signed_out", caller.name, subject=caller.issuer or LOCAL, reason=where)


def failed(ledger: Ledger, name: str, issuer: str, reason: str) -> None:
    """Record that somebody failed to sign in; ``name`` is "" where it is nobody's."""
    told = {"subject": issuer or LOCAL, "reason": reason, "outcome": "denied"}
    recording.note(ledger, "person.sign_in_failed", name or SOMEBODY, **told)


def account_changed(ledger: Ledger, what: str, who: str, name: str) -> None:
    """Record that an account was ``added``, ``removed``, or given another ``password``."""
    recording.note(ledger, f"account.{what}", who, subject=name)
