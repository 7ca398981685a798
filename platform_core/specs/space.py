"""Hyperparameter spaces: ranges and choices of a parameter."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included; ``log`` spreads them by magnitude."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def holds(self, value: object) -> bool:
        """Say whether it may be this."""
        if not isinstance(value, int | float) or isinstance(value, bool):
            return False
        return self.low <= value <= self.high and (not self.whole or value == int(value))


@dataclass(frozen=True)
class Choice:
    """One of some values."""

    values: tuple[str | float | int | bool, ...]

    def holds(self, value: object) -> bool:
        """Say whether it may be this."""
        return any(value == one and type(value) is type(one) for one in self.values)


Dimension = Range | Choice


def uniform(low: float, high: float) -> Range:
    """Any number between two."""
    return Range(low, high)


def log_range(low: float, high: float) -> Range:
    """Any number between two, spread by magnitude."""
    return Range(low, high, log=True)


def int_range(low: int, high: int) -> Range:
    """Any whole number between two."""
    return Range(low, high, whole=True)


def choice(*values: str | float | bool) -> Choice:
    """One of these values."""
    return Choice(values)
