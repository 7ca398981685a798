"""Settings of Vertex AI: where trainings run, as whom, and for how long."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Self

from pydantic import Field, field_validator, model_validator

from loopline.resources.managed_jobs.machines import Machine
from loopline.resources.managed_jobs.settings import JobSettings, check_variables, known_endpoints, store_of
from loopline.resources.vertex.machine_types import ACCELERATORS, SHIPPED, accelerator

MOST_ENV, MOST_LABELS = 90, 50
"""The service takes 100 variables and 64 labels; the rest is ours."""
_BUCKET = re.compile(r"gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](/[A-Za-z0-9!_.*'()=@+-]+)*")
_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")


def check_labels(labels: Mapping[str, str]) -> Mapping[str, str]:
    """Hold labels to what the service takes.

    Raises:
        ValueError: one has other characters, or too many.
    """
    for name, said in labels.items():
        if not (_LABEL.fullmatch(name) and _LABEL_VALUE.fullmatch(said)):
            raise ValueError(f"{name!r} is no label: small letters, digits, _ and -, at most 63")
    return labels


class Settings(JobSettings):
    """Where trainings run, as whom, and for how long.

    ``store`` is a folder of a bucket, as ``gs://bucket/prefix``: tasks, answers and logs lie there. ``project`` is the
    identity's own if it is left out. ``service_account`` may hold ``{team}``: each team's tasks run as its own.
    ``machine_types`` replaces the list that is shipped, ``accelerators`` says which kind of GPU a type, or a family of
    types, has. With ``spot`` machines are taken back now and then, and Vertex AI begins the job again. ``endpoints``
    names other URLs for ``vertex`` and ``storage``, such as those of Private Service Connect.
    """

    location: str = Field(pattern="^[a-z][a-z0-9-]+$")
    store: str
    project: str | None = None
    service_account: str | None = None
    network: str | None = None
    kms_key: str | None = None
    endpoints: Mapping[str, str] = Field(default_factory=dict)
    machine_types: Mapping[str, Machine] = Field(default_factory=lambda: dict(SHIPPED))
    accelerators: Mapping[str, str] = Field(default_factory=lambda: dict(ACCELERATORS))
    disk_gb: int = Field(default=100, ge=100, le=64_000)
    spot: bool = False
    labels: Mapping[str, str] = Field(default_factory=dict, max_length=MOST_LABELS)

    _is_store = field_validator("store")(store_of(_BUCKET, "gs://bucket/prefix"))
    _is_known = field_validator("endpoints")(known_endpoints("vertex", "storage"))

    @field_validator("env")
    @classmethod
    def _is_env(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        return check_variables(value, MOST_ENV)

    _is_label = field_validator("labels")(check_labels)

    @model_validator(mode="after")
    def _knows_its_gpus(self) -> Self:
        for name, machine in self.machine_types.items():
            if machine.gpu and accelerator(name, self.accelerators) is None:
                raise ValueError(f"{name} has GPUs of no known kind: name it in 'accelerators'")
        return self


def label_value(text: str) -> str:
    """Return a text as a label may have it."""
    return re.sub(r"[^a-z0-9_-]", "-", text.lower())[:63]
