"""Settings of Spark."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from loopline.resources.pyspark.pods import Pods

KUBERNETES = "k8s://"


class Settings(BaseModel):
    """Where Spark runs, and by which way rows travel."""

    model_config = ConfigDict(extra="forbid")

    master: str = "local[2]"
    remote: str | None = None
    app_name: str = "loopline"
    python: str | None = None
    options: dict[str, str] = Field(default_factory=dict)
    pods: Pods | None = None
    wait_seconds: float = Field(120, gt=0)
    staging: str | None = None
    storage_options: dict[str, str] = Field(default_factory=dict)
    staged_above_mb: float = Field(64, ge=0)

    @model_validator(mode="after")
    def _pods_and_master(self) -> Self:
        """Pods are a Kubernetes master's, and it needs them: Spark has no image of its own."""
        wants_pods = self.master.startswith(KUBERNETES) and not self.remote
        if wants_pods and self.pods is None:
            raise ValueError(f"the master {self.master!r} needs pods: say at least pods: {{image: ...}}")
        if self.pods is not None and not wants_pods:
            where = f"remote {self.remote!r}" if self.remote else f"the master {self.master!r}"
            raise ValueError(f"{where} makes no pods: write master: k8s://https://host:port, or leave pods out")
        return self
