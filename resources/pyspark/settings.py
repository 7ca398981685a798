"""What an environment file says of Spark."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Pods(BaseModel):
    """Executors as pods of a Kubernetes cluster; ``image`` holds Java, Spark and Loopline."""

    model_config = ConfigDict(extra="forbid")

    image: str
    namespace: str = "default"
    service_account: str | None = None
    executors: int = Field(2, ge=1)

    def options(self) -> dict[str, str]:
        """Say it in Spark's own settings."""
        said = {
            "container.image": self.image,
            "namespace": self.namespace,
            "executor.podNamePrefix": "loopline-spark",
        }
        if self.service_account:
            said["authenticate.executor.serviceAccountName"] = self.service_account
        named = {f"spark.kubernetes.{name}": value for name, value in said.items()}
        return named | {"spark.executor.instances": str(self.executors)}


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
