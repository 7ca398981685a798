"""S3 that tenants share: what comes to a bucket there, and what tries to come to another's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.client
import obstore
import pyarrow as pa
import requests
from botocore.config import Config
from botocore.exceptions import ClientError
from deltalake import DeltaTable, write_deltalake
from obstore.store import S3Store

from loopline.platform_core.testing.parts.ports import free_port
from loopline.platform_core.testing.tenant_store import NOTE, TEXT, Attempt, Fields
from loopline.resources.s3.tenants import POLICY, S3Tenants
from tests.s3_server import KEY, SECRET, S3Server
from tests.tenants.served import Served, cut_off_at

REGION = "us-east-1"
SPARE = "retail-spare"
"""Where an attempt that makes a bucket makes it; whoever may removes it again."""


class S3Guest:
    """A tenant's bucket: a text is an object."""

    def __init__(self, fields: Fields) -> None:
        self._s3, self._bucket = client("s3", fields), urlsplit(fields["url"]).netloc

    def write(self, name: str, text: str) -> None:
        """Write an object."""
        self._s3.put_object(Bucket=self._bucket, Key=name, Body=text.encode())

    def read(self, name: str) -> str:
        """Read an object."""
        return str(self._s3.get_object(Bucket=self._bucket, Key=name)["Body"].read(), "utf-8")

    def close(self) -> None:
        """Leave."""


def ruling(endpoint: str, key: str, secret: str) -> Fields:
    """Return what an administrator has."""
    return {"url": "s3://", "endpoint": endpoint, "access_key_id": key, "secret_access_key": secret}


def tenants(fields: Fields) -> S3Tenants:
    """Ask as whoever has these."""
    return S3Tenants(
        region=REGION,
        endpoint_url=fields["endpoint"],
        access_key_id=fields["access_key_id"],
        secret_access_key=fields["secret_access_key"],  # type: ignore[arg-type]
    )


def served_by(server: S3Server) -> Served:
    """Return a server as tests of every store want it."""
    ruler = ruling(server.url, KEY, SECRET)
    away, nobody = {**ruler, "endpoint": f"http://127.0.0.1:{free_port()}"}, {"UserName": "nobody-in-particular"}
    iam = client("iam", ruler)
    with suppress(ClientError):
        iam.create_user(**nobody)
    made = iam.create_access_key(**nobody)["AccessKey"]
    powerless = {**ruler, "access_key_id": made["AccessKeyId"], "secret_access_key": made["SecretAccessKey"]}
    return Served(tenants(ruler), S3Guest, ruler, cut_off, tenants(away), tenants(powerless))


@contextmanager
def served() -> Iterator[Served]:
    """Run a server."""
    with TemporaryDirectory(prefix="loopline-s3-", ignore_cleanup_errors=True) as folder:
        server = S3Server(Path(folder), iam=True)
        server.start()
        try:
            yield served_by(server)
        finally:
            server.kill()


def cut_off(request: int) -> AbstractContextManager[None]:
    """Let requests fail from one on."""
    return cut_off_at(request, botocore.client.BaseClient, "_make_api_call")


@cache
def session() -> Any:
    """Make a session once: it reads from files what each service is like."""
    return boto3.session.Session(region_name=REGION)


def client(service: str, fields: Fields, **more: Any) -> Any:
    """Make a client for whoever has these fields."""
    return _client(service, fields["endpoint"], fields["access_key_id"], fields["secret_access_key"], **more)


@cache
def _client(service: str, endpoint: str, key: str, secret: str, **more: Any) -> Any:
    keys = {"aws_access_key_id": key, "aws_secret_access_key": secret}
    config = Config(retries={"total_max_attempts": 1}, read_timeout=20, **more)
    return session().client(service, endpoint_url=endpoint, **keys, config=config)


def bucket_of(tenant: str) -> str:
    """Name a tenant's bucket, and its user."""
    return f"loopline-tenant-{tenant}"


Act = Callable[[Any, str], Any]


def reaches(says: str, act: Act, **more: Any) -> Attempt:
    """Make an attempt by S3's client on a bucket; an answer that is false came nowhere."""

    def made(fields: Fields, tenant: str) -> bool:
        return act(client("s3", fields, **more), bucket_of(tenant)) not in {False, None}

    return Attempt(says, lambda fields, tenant: bool(made(fields, tenant)))


def own_in(says: str, act: Act, service: str = "iam", *, ruling: bool = False) -> Attempt:
    """Make an attempt, by default by IAM's client, that a server may allow a user on itself."""

    def made(fields: Fields, tenant: str) -> bool:
        act(client(service, fields), bucket_of(tenant))
        return True

    return Attempt(says, made, ruling)


def rules(says: str, act: Act, service: str = "s3") -> Attempt:
    """Make an attempt that no tenant may, on its own neither."""
    return own_in(says, act, service, ruling=True)


def obstores(says: str, act: Callable[[S3Store], Any]) -> Attempt:
    """Make an attempt by the client that the platform has; an answer that is false came nowhere."""
    return Attempt(f"obstore {says}", lambda fields, tenant: bool(act(_store(fields, tenant))))


def _text(answer: Mapping[str, Any]) -> bool:
    return bool(answer["Body"].read().decode() == TEXT)


def _mine(s3: Any) -> str:
    """Name the bucket of whoever asks, which every tenant may list."""
    return bucket_of("retail")


def _uploads(s3: Any, bucket: str) -> bool:
    named = {"Bucket": bucket, "Key": "large"}
    named["UploadId"] = s3.create_multipart_upload(**named)["UploadId"]
    part = s3.upload_part(**named, PartNumber=1, Body=b"1")
    s3.complete_multipart_upload(**named, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    return True


def _aborts(s3: Any, bucket: str) -> bool:
    named = {"Bucket": bucket, "Key": "large"}
    s3.abort_multipart_upload(**named, UploadId=s3.create_multipart_upload(**named)["UploadId"])
    return True


def _copies_a_part(s3: Any, bucket: str) -> bool:
    named = {"Bucket": _mine(s3), "Key": "large"}
    named["UploadId"] = s3.create_multipart_upload(**named)["UploadId"]
    try:
        s3.upload_part_copy(**named, PartNumber=1, CopySource={"Bucket": bucket, "Key": NOTE})
    finally:
        s3.abort_multipart_upload(**named)
    return True


def _copies_in(s3: Any, bucket: str) -> bool:
    s3.copy_object(Bucket=_mine(s3), Key="stolen", CopySource={"Bucket": bucket, "Key": NOTE})
    return True


def _copies_out(s3: Any, bucket: str) -> bool:
    s3.put_object(Bucket=_mine(s3), Key="evil", Body=b"1")
    s3.copy_object(Bucket=bucket, Key=NOTE, CopySource={"Bucket": _mine(s3), "Key": "evil"})
    return True


def _presigned(method: str, verb: str, **said: Any) -> Act:
    def act(s3: Any, bucket: str) -> bool:
        url = s3.generate_presigned_url(method, Params={"Bucket": bucket, **said})
        return bool(requests.request(verb, url, data=b"1" if verb == "PUT" else None, timeout=20).ok)

    return act


def _posts(s3: Any, bucket: str) -> bool:
    form = s3.generate_presigned_post(bucket, NOTE)
    return bool(requests.post(form["url"], data=form["fields"], files={"file": b"1"}, timeout=20).ok)


def _deletes_many(s3: Any, bucket: str) -> bool:
    told = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": NOTE}, {"Key": "none"}]})
    return not told.get("Errors")


def _lists(s3: Any, bucket: str) -> bool:
    return any(each["Name"] == bucket for each in s3.list_buckets()["Buckets"])


def _signed_for_mine(s3: Any, bucket: str) -> bool:
    """Sign a request for one's own bucket and send it to another one's path."""
    url = s3.generate_presigned_url("get_object", Params={"Bucket": _mine(s3), "Key": NOTE})
    return bool(requests.get(url.replace(f"/{_mine(s3)}/", f"/{bucket}/"), timeout=20).ok)


def _store(fields: Fields, tenant: str) -> S3Store:
    """Open a bucket as the platform's lake and packages are."""
    options = {name: fields[name] for name in ("access_key_id", "secret_access_key", "endpoint")} | {"region": REGION}
    return S3Store(bucket_of(tenant), **options, client_options={"allow_http": True}, retry_config={"max_retries": 0})  # type: ignore[arg-type]


def _options(fields: Fields) -> dict[str, str]:
    return {
        "aws_endpoint": fields["endpoint"],
        "aws_access_key_id": fields["access_key_id"],
        "aws_secret_access_key": fields["secret_access_key"],
        "aws_region": REGION,
        "aws_allow_http": "true",
    }


def _writes_delta(fields: Fields, tenant: str) -> bool:
    where = f"s3://{bucket_of(tenant)}/table"
    write_deltalake(where, pa.table({"a": [1]}), storage_options=_options(fields), mode="append")
    return bool(DeltaTable(where, storage_options=_options(fields)).version() >= 0)


def _makes_a_bucket(s3: Any, bucket: str) -> None:
    s3.create_bucket(Bucket=SPARE)
    s3.delete_bucket(Bucket=SPARE)


def _makes_a_user(iam: Any, bucket: str) -> None:
    iam.create_user(UserName=SPARE)
    iam.delete_user(UserName=SPARE)


def _gives_all(iam: Any, user: str) -> None:
    """Give a user all rights, and take them back."""
    iam.put_user_policy(UserName=user, PolicyName="x", PolicyDocument=_ALL)
    iam.delete_user_policy(UserName=user, PolicyName="x")


def _opens_to_all(s3: Any, bucket: str) -> None:
    """Let the bucket be everybody's, and take it back."""
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": [f"arn:aws:s3:::{bucket}/*"]}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    s3.delete_bucket_policy(Bucket=bucket)


_ALL = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})
_TAGS = {"TagSet": [{"Key": "a", "Value": "b"}]}
_OLD = {"Rules": [{"ID": "1", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}]}
_FROM = {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]}
ATTEMPTS: Sequence[Attempt] = (
    reaches("get", lambda s3, at: _text(s3.get_object(Bucket=at, Key=NOTE))),
    reaches("get a range", lambda s3, at: bool(s3.get_object(Bucket=at, Key=NOTE, Range="bytes=0-1"))),
    reaches("head", lambda s3, at: bool(s3.head_object(Bucket=at, Key=NOTE))),
    reaches("list", lambda s3, at: s3.list_objects_v2(Bucket=at)["KeyCount"] > 0),
    reaches("list as it was done once", lambda s3, at: bool(s3.list_objects(Bucket=at)["Contents"])),
    reaches("list by prefix", lambda s3, at: s3.list_objects_v2(Bucket=at, Prefix=NOTE)["KeyCount"] > 0),
    reaches("list from behind", lambda s3, at: s3.list_objects_v2(Bucket=at, StartAfter="a")["KeyCount"] > 0),
    reaches("list folders", lambda s3, at: bool(s3.list_objects_v2(Bucket=at, Delimiter="/"))),
    reaches("head the bucket", lambda s3, at: bool(s3.head_bucket(Bucket=at))),
    reaches("where the bucket is", lambda s3, at: bool(s3.get_bucket_location(Bucket=at))),
    reaches("list buckets", _lists),
    reaches("put", lambda s3, at: bool(s3.put_object(Bucket=at, Key=NOTE, Body=b"1"))),
    reaches(
        "put what is not there", lambda s3, at: bool(s3.put_object(Bucket=at, Key="n", Body=b"1", IfNoneMatch="*"))
    ),
    reaches(
        "put for all to read", lambda s3, at: bool(s3.put_object(Bucket=at, Key="n", Body=b"1", ACL="public-read"))
    ),
    reaches(
        "put with a redirect", lambda s3, at: bool(s3.put_object(Bucket=at, Key="n", WebsiteRedirectLocation="/x"))
    ),
    reaches("delete", lambda s3, at: bool(s3.delete_object(Bucket=at, Key=NOTE))),
    reaches("delete many", _deletes_many),
    reaches("copy into one's own", _copies_in),
    reaches("copy out of one's own", _copies_out),
    reaches("copy a part into one's own", _copies_a_part),
    reaches("upload in parts", _uploads),
    reaches("begin to upload and end it", _aborts),
    reaches("a URL to get", _presigned("get_object", "GET", Key=NOTE)),
    reaches("a URL to head", _presigned("head_object", "HEAD", Key=NOTE)),
    reaches("a URL to put", _presigned("put_object", "PUT", Key=NOTE)),
    reaches("a URL to delete", _presigned("delete_object", "DELETE", Key=NOTE)),
    reaches("a URL signed for one's own", _signed_for_mine),
    reaches("a form to post", _posts),
    reaches("by the older signature", _presigned("get_object", "GET", Key=NOTE), signature_version="s3"),
    obstores("gets", lambda one: bytes(obstore.get(one, NOTE).bytes()) == TEXT.encode()),
    obstores("puts", lambda one: obstore.put(one, NOTE, b"1")),
    obstores("lists", lambda one: list(obstore.list(one))),
    obstores("deletes", lambda one: obstore.delete(one, NOTE) is None),
    Attempt("a Delta table", _writes_delta),
    rules("list versions", lambda s3, at: s3.list_object_versions(Bucket=at)),
    rules("list uploads", lambda s3, at: s3.list_multipart_uploads(Bucket=at)),
    rules("read the bucket's tags, where its key is sealed", lambda s3, at: s3.get_bucket_tagging(Bucket=at)),
    rules("write the bucket's tags", lambda s3, at: s3.put_bucket_tagging(Bucket=at, Tagging=_TAGS)),
    rules("delete the bucket's tags", lambda s3, at: s3.delete_bucket_tagging(Bucket=at)),
    rules("write the bucket's policy", _opens_to_all),
    rules("read the bucket's rights", lambda s3, at: s3.get_bucket_acl(Bucket=at)),
    rules("write the bucket's rights", lambda s3, at: s3.put_bucket_acl(Bucket=at, ACL="public-read")),
    rules("read an object's rights", lambda s3, at: s3.get_object_acl(Bucket=at, Key=NOTE)),
    rules("write an object's rights", lambda s3, at: s3.put_object_acl(Bucket=at, Key=NOTE, ACL="public-read")),
    rules("read an object's tags", lambda s3, at: s3.get_object_tagging(Bucket=at, Key=NOTE)),
    rules("write an object's tags", lambda s3, at: s3.put_object_tagging(Bucket=at, Key=NOTE, Tagging=_TAGS)),
    rules("delete an object's tags", lambda s3, at: s3.delete_object_tagging(Bucket=at, Key=NOTE)),
    rules(
        "keep versions",
        lambda s3, at: s3.put_bucket_versioning(Bucket=at, VersioningConfiguration={"Status": "Enabled"}),
    ),
    rules("are versions kept", lambda s3, at: s3.get_bucket_versioning(Bucket=at)),
    rules(
        "let all expire", lambda s3, at: s3.put_bucket_lifecycle_configuration(Bucket=at, LifecycleConfiguration=_OLD)
    ),
    rules("let pages of others ask", lambda s3, at: s3.put_bucket_cors(Bucket=at, CORSConfiguration=_FROM)),
    rules("make a bucket", _makes_a_bucket),
    rules("delete the bucket", lambda s3, at: s3.delete_bucket(Bucket=at)),
    rules("list users", lambda iam, _: iam.list_users(), "iam"),
    rules("list policies of all", lambda iam, _: iam.list_policies(), "iam"),
    rules("make a user", _makes_a_user, "iam"),
    rules("give all rights", _gives_all, "iam"),
    rules("read a policy", lambda iam, at: iam.get_user_policy(UserName=at, PolicyName=POLICY), "iam"),
    rules("list policies", lambda iam, at: iam.list_user_policies(UserName=at), "iam"),
    rules("delete a policy", lambda iam, at: iam.delete_user_policy(UserName=at, PolicyName=POLICY), "iam"),
    rules("delete a user", lambda iam, at: iam.delete_user(UserName=at), "iam"),
    # what SeaweedFS lets a user do with what is its own, and AWS does not
    own_in("make a key", lambda iam, at: iam.create_access_key(UserName=at)),
    own_in("list keys", lambda iam, at: iam.list_access_keys(UserName=at)),
    own_in("read a user", lambda iam, at: iam.get_user(UserName=at)),
)
