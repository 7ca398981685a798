"""Gang of workers in distributed training: this worker's rank, and every worker's address."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Self

PORT = 29500
"""The port on which a worker that has an address of its own may listen; what ``torchrun`` takes as well."""
_VARIABLE = "LOOPLINE_GANG"


@dataclass(frozen=True)
class Gang:
    """Which of the workers this is, and ``host:port`` of each, by rank; a task that runs alone is a gang of one.

    Each worker may listen on its own port, and on no other that it is told of here.
    """

    rank: int = 0
    addresses: tuple[str, ...] = (f"127.0.0.1:{PORT}",)

    @classmethod
    def here(cls) -> Self:
        """Return the gang of which this process is a worker."""
        said = os.environ.get(_VARIABLE)
        return cls(int(os.environ["RANK"]), tuple(json.loads(said))) if said else cls()

    @property
    def size(self) -> int:
        """Return how many workers there are."""
        return len(self.addresses)

    @property
    def leads(self) -> bool:
        """Say whether this worker's answer is the task's."""
        return self.rank == 0

    def variables(self) -> dict[str, str]:
        """Return what the worker's environment says: the names that ``torch.distributed`` reads, and all addresses."""
        host, _, port = self.addresses[0].rpartition(":")
        return {
            "RANK": str(self.rank),
            "WORLD_SIZE": str(self.size),
            "MASTER_ADDR": host,
            "MASTER_PORT": port,
            _VARIABLE: json.dumps(self.addresses),
        }
