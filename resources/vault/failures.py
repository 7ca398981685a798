"""Error mapping of an unreachable Vault."""

from __future__ import annotations

from loopline.platform_core.errors import LooplineError, Refused, StoreUnavailable


def silent(kind: str) -> LooplineError:
    """Make the error for what a client raised, by its class."""
    if kind in {"SSLError", "CertificateError"}:
        return Refused("Vault's certificate is not trusted", "name its authority's file by 'authority'")
    return StoreUnavailable(
        f"Vault does not answer: {kind}", "look whether it runs, is unsealed, and is reached from here"
    )
