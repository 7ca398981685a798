"""Settings of SageMaker: where trainings run, as whom, and for how long."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import Field, field_validator

from loopline.resources.managed_jobs.machines import Machine
from loopline.resources.managed_jobs.settings import JobSettings, known_endpoints, store_of
from loopline.resources.sagemaker.instance_types import SHIPPED

MOST_ENV, MOST_ENV_CHARS, MOST_TAGS = 90, 512, 45
"""The service takes 100 variables and 50 tags; the rest is ours."""
_BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9!_.*'()=@+-]+)*")
_VARIABLE = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,511}")
_TAG = re.compile(r"[\w .:/=+\-@]*")
_MOST_TAG_CHARS, _MOST_TAG_NAME_CHARS = 256, 128


def check_tags(tags: Mapping[str, str]) -> Mapping[str, str]:
    """Return tags as they are, unless the service would refuse one."""
    for name, said in tags.items():
        fits = 0 < len(name) <= _MOST_TAG_NAME_CHARS and len(said) <= _MOST_TAG_CHARS
        if not (fits and _TAG.fullmatch(name) and _TAG.fullmatch(said)):
            raise ValueError(f"{name!r} is no tag: letters, digits, spaces and _.:/=+-@, at most 128 and 256 of them")
    return tags


class Settings(JobSettings):
    """Where trainings run, as whom, and for how long.

    ``store`` is a folder of a bucket, as ``s3://bucket/prefix``: tasks and answers lie there. ``role`` may hold
    ``{team}``: each team's tasks run as its own role. ``instance_types`` replaces the list that is shipped. With
    ``spot`` machines are taken back now and then, and the job begins again by itself for ``spot_wait_hours`` in all.
    ``endpoints`` names other endpoints for ``sagemaker``, ``s3`` and ``logs``, such as those of a VPC.
    """

    image: str = Field(max_length=255)
    role: str
    store: str
    region: str | None = None
    endpoints: Mapping[str, str] = Field(default_factory=dict)
    instance_types: Mapping[str, Machine] = Field(default_factory=lambda: dict(SHIPPED))
    volume_gb: int = Field(default=30, ge=1)
    volume_kms_key: str | None = None
    output_kms_key: str | None = None
    subnets: tuple[str, ...] = Field(default=(), max_length=16)
    security_groups: tuple[str, ...] = Field(default=(), max_length=5)
    encrypt_between_workers: bool = False
    spot: bool = False
    spot_wait_hours: float = Field(default=24, gt=0)
    env: Mapping[str, str] = Field(default_factory=dict, max_length=MOST_ENV)
    tags: Mapping[str, str] = Field(default_factory=dict, max_length=MOST_TAGS)

    _is_store = field_validator("store")(store_of(_BUCKET, "s3://bucket/prefix"))
    _is_known = field_validator("endpoints")(known_endpoints("sagemaker", "s3", "logs"))

    @field_validator("env")
    @classmethod
    def _is_env(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        for name, said in value.items():
            if not _VARIABLE.fullmatch(name) or len(said) > MOST_ENV_CHARS:
                raise ValueError(f"{name} is no variable of at most {MOST_ENV_CHARS} characters")
        return value

    _is_tag = field_validator("tags")(check_tags)


def tag_value(text: str) -> str:
    """Return a text as a tag may have it."""
    return re.sub(r"[^\w .:/=+\-@]", "-", text)[:_MOST_TAG_CHARS]
