"""Error classes: each error says what is wrong and how to fix it.

The tree::

    LooplineError(problem, fix)
    ├── Permanent              trying again gives the same answer
    │   ├── InvalidSpec        a team's declaration does not hold together
    │   ├── InvalidEnvironment an environment file names no vendor, or configures it wrongly
    │   ├── ContractBroken     data or a file is not what its contract says
    │   ├── Unsupported        the bound vendor cannot do this
    │   ├── NotFound           the named thing does not exist
    │   ├── Refused            a rule of the loop forbids it now (cool-down, freeze, budget, failed gate)
    │   │   ├── Denied         a policy forbids it to whoever asks, or none allows it
    │   │   └── Untrusted      a model's package is not what a known trainer signed
    │   ├── TaskFailed         a team's function raised; the message is its own
    │   └── BadRequest         a request to the inference server breaks the protocol
    └── Transient              worth another try after ``delay_seconds``
        ├── StoreUnavailable   a server or a file did not answer in time
        ├── Overloaded         the server, or the cluster, has as much to do as it takes on
        │   └── QuotaReached   the environment uses as much as its quota allows; nothing was begun or written
        └── CommitConflict     another writer was faster
"""

from __future__ import annotations

from loopline.platform_core.redaction import redacted

_ONE_LINE = 300
"""Characters of a library's error that are told."""


class LooplineError(Exception):
    """Something went wrong; ``problem`` names it and ``fix`` says what to do. Neither tells a secret."""

    def __init__(self, problem: str, fix: str) -> None:
        problem, fix = redacted(problem), redacted(fix)
        super().__init__(f"{problem} → {fix}")
        self.problem = problem
        self.fix = fix

    def __reduce__(self) -> tuple[type[LooplineError], tuple[str, str]]:
        """Survive pickling between processes with both words."""
        return type(self), (self.problem, self.fix)


class Permanent(LooplineError):  # noqa: N818 - the name is what a caller decides by
    """Trying again gives the same answer."""


class InvalidSpec(Permanent):
    """A team's declaration does not hold together."""


class InvalidEnvironment(Permanent):
    """An environment file names no known vendor, or configures it wrongly."""


class ContractBroken(Permanent):
    """Data or a file is not what its contract says."""


class Unsupported(Permanent):
    """The bound vendor cannot do this; ``fix`` names what to use instead."""


class NotFound(Permanent):
    """The named thing does not exist."""


class Refused(Permanent):
    """A rule of the loop forbids it now: cool-down, freeze, budget, failed gate."""


class Denied(Refused):
    """A policy forbids it to whoever asks, or none allows it; ``role`` is one that would, ``team/role``, "" if none."""

    def __init__(self, problem: str, fix: str, role: str = "") -> None:
        super().__init__(problem, fix)
        self.role = role


class Untrusted(Refused):
    """A model's package is not what a known trainer signed for this version."""


class TaskFailed(Permanent):
    """A team's function raised; the message is its own."""


class BadRequest(Permanent):
    """A request to the inference server breaks the protocol, or is one too many for ``delay_seconds``."""

    def __init__(self, problem: str, fix: str, status: int = 400, delay_seconds: float | None = None) -> None:
        super().__init__(problem, fix)
        self.status = status
        self.delay_seconds = delay_seconds


class Transient(LooplineError):  # noqa: N818 - the name is what a caller decides by
    """Worth another try after ``delay_seconds``."""

    def __init__(self, problem: str, fix: str, delay_seconds: float = 1.0) -> None:
        super().__init__(problem, fix)
        self.delay_seconds = delay_seconds


class StoreUnavailable(Transient):
    """A server or a file did not answer in time."""


class Overloaded(Transient):
    """The server, or the cluster, has as much to do as it takes on."""


class QuotaReached(Overloaded):
    """The environment uses as much as its quota allows; nothing was begun or written."""


class CommitConflict(Transient):
    """Another writer was faster; read again and repeat."""


def is_panic(error: BaseException) -> bool:
    """Say whether a library written in Rust raised it where it did not foresee something; it is no ``Exception``."""
    return type(error).__name__ == "PanicException"


def one_line(told: object) -> str:
    """Return what a library's error says on one line, at most 300 characters of it, without secrets."""
    return redacted(" ".join(str(told).split()))[:_ONE_LINE]
