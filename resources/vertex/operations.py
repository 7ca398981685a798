"""Long-running operations of Vertex AI on an endpoint or model: those in progress, and the last failure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from loopline.platform_core.errors import one_line

_DEPLOYS, _UPLOADS, _DELETES = "DeployModel", "UploadModel", "Delete"
_KIND = "OperationMetadata"
"""How the name of an operation's metadata ends; before it stands what is done."""


@dataclass(frozen=True)
class Doings:
    """``running``: what is going on, "" if nothing is; ``failure``: why the last deployment or upload failed."""

    running: str = ""
    failure: str = ""

    @property
    def deploys(self) -> bool:
        """Say whether a model is being deployed."""
        return self.running == _DEPLOYS

    @property
    def ends(self) -> bool:
        """Say whether it is being deleted."""
        return self.running == _DELETES

    @classmethod
    def of(cls, operations: Iterable[Any]) -> Doings:
        """Read long-running operations, in whatever order they come."""
        found = sorted(((_at(one), _kind(one), one) for one in operations), key=lambda each: each[0])
        running = [kind for _, kind, one in found if not one.done]
        made = [one for _, kind, one in found if one.done and kind in {_DEPLOYS, _UPLOADS}]
        failed = made[-1] if made and made[-1].HasField("error") else None
        return cls(running[-1] if running else "", one_line(failed.error.message or failed.error) if failed else "")


def _kind(operation: Any) -> str:
    return str(operation.metadata.type_url).rpartition(".")[2].removesuffix(_KIND)


def _at(operation: Any) -> tuple[int, int]:
    """Return when it began."""
    from google.cloud.aiplatform_v1.types import DeployModelOperationMetadata

    metadata = DeployModelOperationMetadata.pb()()
    metadata.ParseFromString(operation.metadata.value)  # all of them begin with the same generic metadata
    began = metadata.generic_metadata.create_time
    return began.seconds, began.nanos
