"""What an environment says about jobs, whatever the service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from loopline.platform_core.contracts.base import Vendor
from loopline.platform_core.errors import InvalidEnvironment

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_SCRATCH = "/tmp"  # noqa: S108 - the container's own
SAID = ("team", "model", "cycle")
"""Arguments of a task that its job is labelled with."""


class JobSettings(Vendor):
    """What runs, for how long, and with which variables; a service may be away for ``api_patience_seconds``."""

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
