"""Choice of the smallest machine type that fits a task."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from loopline.platform_core.errors import Unsupported
from loopline.platform_core.specs.model import Requirements


class Machine(BaseModel):
    """What one machine of a type has: cores, memory in GB, GPUs."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    cpu: float
    memory_gb: float
    gpu: int = 0


Machines = Mapping[str, Machine]
"""Machines by the name that the service has for their type."""


def smallest(machines: Machines, requirements: Requirements, most: int) -> str:
    """Return the type with the fewest GPUs, cores and GB that are enough for one worker.

    ``most`` is how many workers the service takes in one job.

    Raises:
        Unsupported: none has as much, or there are too many workers.
    """
    if requirements.workers > most:
        raise Unsupported(
            f"the task asks for {requirements.workers} workers, one job takes {most}",
            f"ask for workers={most} or less; if your account's quota allows more, raise 'most_workers'",
        )
    enough = [name for name, machine in machines.items() if _holds(machine, requirements)]
    if not enough:
        asked = f"cpu={requirements.cpu:g}, memory_gb={requirements.memory_gb:g}, gpu={requirements.gpu}"
        largest = max(machines, key=lambda name: _size(machines[name]), default="none at all")
        raise Unsupported(
            f"no machine type has {asked}; the largest of the {len(machines)} known is {largest}",
            "ask for less, or list a larger type in the environment's compute",
        )
    return min(enough, key=lambda name: _size(machines[name]))


def _holds(machine: Machine, asked: Requirements) -> bool:
    return machine.cpu >= asked.cpu and machine.memory_gb >= asked.memory_gb and machine.gpu >= asked.gpu


def _size(machine: Machine) -> tuple[int, float, float]:
    return machine.gpu, machine.cpu, machine.memory_gb
