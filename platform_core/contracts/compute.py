"""Contract of compute backends: where trainings and other heavy tasks run."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loopline.platform_core.contracts.base import Vendor
from loopline.platform_core.errors import Unsupported

if TYPE_CHECKING:
    from loopline.platform_core.specs.model import Requirements

Json = Any
"""What ``json.dumps`` accepts and ``json.loads`` returns."""


@dataclass(frozen=True)
class Billed:
    """What a service bills for a task: seconds of each machine, its type as the service calls it, and how many."""

    seconds: float
    machine: str
    machines: int = 1


class Compute(Vendor):
    """Where heavy work runs: the same function on a laptop, in a container or in a managed service.

    Promises, each with a test in ``loopline.platform_core.testing.compute``:
      1. ``run`` returns what ``module:function`` returned for ``args``, after a trip through JSON.
      2. The same key again returns the first result without running again.
      3. A task that raises becomes ``TaskFailed`` with its message, and the key may be run again.
      4. A caller that dies does not lose the result: the next call with the key finds it, or runs the task anew.
      5. Two callers with the same key at once run the task once.
      6. Requirements that cannot be met raise ``Unsupported`` before anything runs.
      7. ``cancel`` ends a key's task (``can``: "cancel") and those below it (``key/...``): whoever waits for one
         is told by an error, and it may be run anew. A key whose task is not at work is left as it is.
      8. ``Requirements(workers=N)`` runs the task on N workers at once (``can``: "gang"). Each knows its rank and finds
         the others (``specs.Gang``), and the first one's result is the task's. It is all or nothing: unless every one
         has its place none begins, and when one fails or dies the others are ended and the key may be run anew. A
         vendor that cannot raises ``Unsupported``.
      9. ``billed`` tells what the service bills for a key that has its result (``can``: "billed"): the task's own
         time at least, on a machine that has a name. Of any other key, and of a vendor that cannot, it is None.
    """

    @abc.abstractmethod
    def run(self, task: str, args: Mapping[str, Json], requirements: Requirements, key: str) -> Json:
        """Run ``task`` (``"package.module:function"``) with keyword arguments and wait for its result."""

    def cancel(self, key: str, args: Mapping[str, Json] | None = None) -> None:  # noqa: ARG002 - for vendors
        """End the task of a key, and of those below it.

        ``args`` are arguments of it, as far as they are known: they may say where it runs, as a team's name does.

        Raises:
            Unsupported: this vendor has nothing that could be ended from outside.
        """
        raise Unsupported(
            f"{type(self).__name__} cannot end the task {key!r}",
            "wait for it, or bind a compute vendor that can 'cancel'",
        )

    def billed(self, key: str, args: Mapping[str, Json] | None = None) -> Billed | None:  # noqa: ARG002 - for vendors
        """Return what the service bills for a key's task that has its result; None: nobody bills it, or there is none.

        ``args`` are arguments of it, as far as they are known.
        """
        return None
