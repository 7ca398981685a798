"""Settings of managed jobs, whatever the service."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from pydantic import Field

from loopline.platform_core.contracts.base import Vendor
from loopline.platform_core.errors import InvalidEnvironment

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_VARIABLE = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_SCRATCH = "/tmp"  # noqa: S108 - the container's own
SAID = ("team", "model", "cycle")
"""Arguments of a task that its job is labelled with."""


def known_endpoints(*names: str) -> Callable[[Mapping[str, str]], Mapping[str, str]]:
    """Return what refuses, of a setting ``endpoints``, those that are none of a service's."""
    *some, last = names
    have = f"{', '.join(some)} and {last} have one" if some else f"{last} has one"

    def known(endpoints: Mapping[str, str]) -> Mapping[str, str]:
        if unknown := set(endpoints) - {*names}:
            raise ValueError(f"no endpoint {', '.join(sorted(unknown))}: {have}")
        return endpoints

    return known


def store_of(places: re.Pattern[str], example: str) -> Callable[[str], str]:
    """Return what refuses a setting ``store`` that is no such place; a slash at its end goes."""

    def checked(store: str) -> str:
        if not places.fullmatch(store.rstrip("/")):
            raise ValueError(f"write {example}")
        return store.rstrip("/")

    return checked


def check_variables(variables: Mapping[str, str], most: int, beside: str = "") -> Mapping[str, str]:
    """Refuse more variables than a job takes, ``beside`` what else there may be, and names that are none."""
    if len(variables) > most:
        raise ValueError(f"{len(variables)} variables, a job takes {most}{beside}")
    for name in variables:
        if not _VARIABLE.fullmatch(name):
            raise ValueError(f"{name!r} is no variable's name")
    return variables


class JobSettings(Vendor):
    """What runs, for how long, and with which variables; a service may be away for ``api_patience_seconds``."""

    open_fields: ClassVar[frozenset[str]] = frozenset({"env"})
    image: str
    python: str = "python"
    max_runtime_hours: float = Field(default=24, gt=0)
    env: Mapping[str, str] = Field(default_factory=dict)
    api_patience_seconds: float = 300

    def variables(self, cpu: float) -> dict[str, str]:
        """Return a container's variables: its cores, a home that can be written, and what the environment says."""
        threads = dict.fromkeys(_THREADS, str(max(1, int(cpu))))
        return {"HOME": _SCRATCH, "LOOPLINE_HOME": f"{_SCRATCH}/loopline", **threads, **self.env}


def filled(text: str, args: Mapping[str, Any], what: str) -> str:
    """Return a setting in which ``{team}`` stands for the task's team.

    Raises:
        InvalidEnvironment: it holds ``{team}``, and the task's arguments name no team.
    """
    try:
        return text.format(**({"team": str(args["team"])} if "team" in args else {}))
    except (KeyError, IndexError, ValueError) as error:
        raise InvalidEnvironment(
            f"compute: the {what} {text!r} cannot be filled in for this task: {error}",
            "name it without {team}: the task is the platform's own",
        ) from error
