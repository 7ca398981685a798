"""Administration of a tenant's S3 bucket: all versions and incomplete uploads included."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from loopline.platform_core.errors import Refused
from loopline.resources.aws.failure import client_errors, code

TAG: Final = "loopline-tenant-key"
NAMED: Final = 100
_AT_ONCE: Final = 1000
"""Objects that S3 removes by one request."""
_US: Final = "us-east-1"
"""The region that may not be named when a bucket is made."""
_NO_BUCKET: Final = frozenset({"NoSuchBucket", "404"})
_NO_TAGS: Final = frozenset({"NoSuchTagSet", "NoSuchTagSetError"})


@dataclass(frozen=True)
class Bucket:
    """A bucket by its name, asked by boto3's client."""

    s3: Any
    name: str

    def make(self, region: str | None) -> None:
        """Make it in a region; one that is ours already is left as it is."""
        if self.is_there():
            return
        elsewhere = {"CreateBucketConfiguration": {"LocationConstraint": region}} if region not in {None, _US} else {}
        self.s3.create_bucket(Bucket=self.name, **elsewhere)

    def is_there(self) -> bool:
        """Say whether there is one, which this client may see."""
        try:
            self.s3.head_bucket(Bucket=self.name)
        except client_errors() as error:
            if code(error) in _NO_BUCKET:
                return False
            raise
        return True

    def tag(self) -> str:
        """Return what our tag says, "" where there is none."""
        try:
            tags = self.s3.get_bucket_tagging(Bucket=self.name)["TagSet"]
        except client_errors() as error:
            if code(error) in _NO_TAGS:
                return ""
            raise
        return next((str(tag["Value"]) for tag in tags if tag["Key"] == TAG), "")

    def set_tag(self, value: str) -> None:
        """Let our tag say something; others are the administrator's, and stay."""
        try:
            before = self.s3.get_bucket_tagging(Bucket=self.name)["TagSet"]
        except client_errors() as error:
            if code(error) not in _NO_TAGS:
                raise
            before = []
        others = [tag for tag in before if tag["Key"] != TAG]
        self.s3.put_bucket_tagging(Bucket=self.name, Tagging={"TagSet": [*others, {"Key": TAG, "Value": value}]})

    def named(self) -> list[str]:
        """Name it and what lies there, of a hundred objects and uploads each."""
        if not self.is_there():
            return []
        keys = list(islice(dict.fromkeys(version["Key"] for version in self._versions()), NAMED + 1))
        objects = [f"object {self.name}/{key}" for key in keys[:NAMED]]
        more = [f"more objects in {self.name}"] if len(keys) > NAMED else []
        uploads = [f"upload {self.name}/{one['Key']}" for one in islice(self._uploads(), NAMED)]
        return [f"bucket {self.name}", *objects, *more, *uploads]

    def size(self) -> int:
        """Return how many bytes lie there, 0 where there is no bucket."""
        if not self.is_there():
            return 0
        whole = sum(int(version.get("Size", 0)) for version in self._versions())
        return whole + sum(int(part["Size"]) for upload in self._uploads() for part in self._parts(upload))

    def remove(self) -> None:
        """Remove all that lies there, and the bucket.

        Raises:
            Refused: a version is kept until its time is over.
        """
        if not self.is_there():
            return
        for upload in self._uploads():
            self.s3.abort_multipart_upload(Bucket=self.name, Key=upload["Key"], UploadId=upload["UploadId"])
        versions = ({"Key": one["Key"], "VersionId": one["VersionId"]} for one in self._versions())
        while batch := list(islice(versions, _AT_ONCE)):
            told = self.s3.delete_objects(Bucket=self.name, Delete={"Objects": batch, "Quiet": True})
            if kept := told.get("Errors"):
                raise Refused(
                    f"{len(kept)} objects of bucket {self.name} stay, such as {kept[0]['Key']}: {kept[0]['Code']}",
                    "wait until their retention is over, or end legal holds; then delete the tenant again",
                )
        self.s3.delete_bucket(Bucket=self.name)

    def _versions(self) -> Iterator[Any]:
        for page in self.s3.get_paginator("list_object_versions").paginate(Bucket=self.name):
            yield from page.get("Versions", ())
            yield from page.get("DeleteMarkers", ())

    def _uploads(self) -> Iterator[Any]:
        for page in self.s3.get_paginator("list_multipart_uploads").paginate(Bucket=self.name):
            yield from page.get("Uploads", ())

    def _parts(self, upload: Any) -> Iterator[Any]:
        place = {"Bucket": self.name, "Key": upload["Key"], "UploadId": upload["UploadId"]}
        for page in self.s3.get_paginator("list_parts").paginate(**place):
            yield from page.get("Parts", ())
