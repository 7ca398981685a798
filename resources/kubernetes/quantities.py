"""Kubernetes resource quantities, such as ``250m`` and ``4Gi``, as numbers, and back."""

from __future__ import annotations

_FACTORS = {
    "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50, "Ei": 2.0**60,
}  # fmt: skip


def number(quantity: str) -> float:
    """Read a quantity."""
    for size in (2, 1):
        if quantity[-size:] in _FACTORS:
            return float(quantity[:-size]) * _FACTORS[quantity[-size:]]
    return float(quantity)


def cores(count: float) -> str:
    """Write cores, in thousandths."""
    return f"{max(1, round(count * 1000))}m"


def gigabytes(count: float) -> str:
    """Write gigabytes, in bytes."""
    return str(max(1, round(count * 1e9)))
