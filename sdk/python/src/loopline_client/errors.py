"""Every error says what is wrong and what to do.

The tree::

    FeatureError(problem, fix, status)
    ├── BadRequest     the request does not hold together (400, 406, 413)
    ├── NotFound       the team, view, feature, model or table does not exist (404)
    ├── Conflict       a rule forbids it now (409)
    └── Unavailable    the service did not answer, or cannot now (503); worth another try after ``delay_seconds``
"""

from __future__ import annotations


class FeatureError(Exception):
    """Something went wrong; ``problem`` names it and ``fix`` says what to do. ``status`` is HTTP's, 0 without one."""

    def __init__(self, problem: str, fix: str, status: int = 0) -> None:
        super().__init__(f"{problem} → {fix}")
        self.problem = problem
        self.fix = fix
        self.status = status


class BadRequest(FeatureError):  # noqa: N818 - the name is what a caller decides by
    """The request does not hold together."""


class NotFound(FeatureError):  # noqa: N818 - the name is what a caller decides by
    """The named thing does not exist."""


class Conflict(FeatureError):  # noqa: N818 - the name is what a caller decides by
    """A rule forbids it now."""


class Unavailable(FeatureError):  # noqa: N818 - the name is what a caller decides by
    """The service did not answer, or cannot now; worth another try after ``delay_seconds``."""

    def __init__(self, problem: str, fix: str, status: int = 0, delay_seconds: float | None = None) -> None:
        super().__init__(problem, fix, status)
        self.delay_seconds = delay_seconds
