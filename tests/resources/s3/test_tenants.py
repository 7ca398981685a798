"""S3 keeps tenants apart: a real server that knows users and policies, and an emulator of AWS' own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from loopline.platform_core.contracts.tenant_store import TenantStore
from loopline.platform_core.errors import InvalidEnvironment, InvalidSpec
from loopline.platform_core.testing.tenant_store import MINE, NOTE, TEXT, THEIRS, Enter, Fields, TenantStoreKit
from loopline.resources.s3.sealed import AccessKey, key_id, seal, unsealed
from loopline.resources.s3.tenants import S3Tenants
from tests.emulators.aws import AwsServer
from tests.s3_server import S3Server
from tests.tenants.served import OfServed, Served
from tests.tenants.stores import s3_store
from tests.tenants.stores.s3_store import ATTEMPTS, S3Guest, client, ruling, tenants

BEYOND_MOTO = (
    "head the bucket", "list buckets", "delete many", "copy into", "copy a part", "a URL", "a form", "by the older",
    "obstore deletes", "delete an object's tags", "delete the bucket", "delete a user", "make a key", "list keys",
    "read a user",
)  # fmt: skip
"""Attempts that moto refuses to whoever may, asks for other rights, or does not check at all."""


class TestS3Tenants(OfServed, TenantStoreKit):
    """Every promise of the contract; a tenant keeps its key where it may, since to make clients is slow."""

    tested_on = "real server: SeaweedFS"
    every = ATTEMPTS

    def furnished(self, store: TenantStore, enter: Enter, tenant: str) -> Fields:
        """Make a tenant with the password that it has, and the note."""
        fields = store.create(tenant, "the same password")
        enter(fields).write(NOTE, TEXT)
        return fields


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Run a server of these tests' own."""
    server = S3Server(tmp_path_factory.mktemp("shared-s3"), iam=True)
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def served(server: S3Server) -> Served:
    """Share it with the kit."""
    return s3_store.served_by(server)


@pytest.fixture
def ruler(served: Served) -> Fields:
    """Be an administrator."""
    return served.ruler


def test_policies_as_aws_reads_them(aws_server: AwsServer) -> None:
    """The same attempts, where an emulator of AWS checks signatures and policies."""
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    ruler, kit = ruling(aws_server.url, *aws_server.user(everything)), TestS3Tenants()
    tried = [each for each in ATTEMPTS if not each.says.startswith(BEYOND_MOTO)]
    assert len(tried) > 40
    with aws_server.checked():
        store = tenants(ruler)
        for attempt in tried:
            kit.hold(attempt, store, S3Guest, ruler)
        for tenant in (MINE, THEIRS):
            store.delete(tenant)
            assert store.holds(tenant) == ()


@pytest.fixture
def store(ruler: Fields) -> Iterator[S3Tenants]:
    """Ask as an administrator."""
    store = tenants(ruler)
    yield store
    store.delete(MINE)


def test_the_same_password_gives_the_same_key(store: S3Tenants) -> None:
    """Whoever makes a tenant once more ends nobody's work; another password does."""
    first = store.create(MINE, "one")
    assert store.create(MINE, "one") == first
    second = store.create(MINE, "two")
    assert second["access_key_id"] != first["access_key_id"]
    with pytest.raises(ClientError):
        S3Guest(first).write(NOTE, TEXT)


def test_a_key_that_a_tenant_made_for_itself_is_of_no_use_later(store: S3Tenants) -> None:
    """Neither while it is suspended, nor when it is resumed; nor may it make another meanwhile."""
    fields = store.create(MINE, "one")
    made = client("iam", fields).create_access_key(UserName=s3_store.bucket_of(MINE))["AccessKey"]
    own = {**fields, "access_key_id": made["AccessKeyId"], "secret_access_key": made["SecretAccessKey"]}
    S3Guest(own).write(NOTE, TEXT)
    store.suspend(MINE)
    for keys in (fields, own):
        with pytest.raises(ClientError):
            S3Guest(keys).read(NOTE)
        with pytest.raises(ClientError):
            client("iam", keys).create_access_key(UserName=s3_store.bucket_of(MINE))
    store.resume(MINE)
    assert S3Guest(fields).read(NOTE) == TEXT
    with pytest.raises(ClientError):
        S3Guest(own).read(NOTE)


def test_rights_that_somebody_added_are_taken_away(store: S3Tenants, ruler: Fields) -> None:
    """Made once more a tenant has what a tenant has."""
    fields = store.create(MINE, "one")
    everything = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'
    name = s3_store.bucket_of(MINE)
    client("iam", ruler).put_user_policy(UserName=name, PolicyName="more", PolicyDocument=everything)
    assert f"policy more of {name}" in store.holds(MINE)
    store.create(MINE, "one")
    assert f"policy more of {name}" not in store.holds(MINE)
    with pytest.raises(ClientError):
        client("s3", fields).get_bucket_tagging(Bucket=name)


def test_versions_and_unfinished_uploads_are_counted_named_and_removed(store: S3Tenants, ruler: Fields) -> None:
    """What a listing does not show takes room all the same."""
    store.create(MINE, "one")
    s3, bucket = client("s3", ruler), s3_store.bucket_of(MINE)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for _ in range(2):
        s3.put_object(Bucket=bucket, Key="twice", Body=b"x" * 1000)
    s3.delete_object(Bucket=bucket, Key="twice")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="begun")["UploadId"]
    s3.upload_part(Bucket=bucket, Key="begun", UploadId=upload, PartNumber=1, Body=b"x" * 500)
    assert store.stored_bytes(MINE) == 2500
    assert {f"object {bucket}/twice", f"upload {bucket}/begun"} <= set(store.holds(MINE))
    store.delete(MINE)
    assert (store.holds(MINE), store.stored_bytes(MINE)) == ((), 0)


def test_whoever_says_no_name_sees_nothing(store: S3Tenants, ruler: Fields) -> None:
    """An unsigned request reaches no tenant's bucket, and lists none."""
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config

    fields = store.create(MINE, "one")
    S3Guest(fields).write(NOTE, TEXT)
    nobody: Any = boto3.client("s3", endpoint_url=ruler["endpoint"], config=Config(signature_version=UNSIGNED))
    for ask in (
        lambda: nobody.get_object(Bucket=s3_store.bucket_of(MINE), Key=NOTE),
        lambda: nobody.list_objects_v2(Bucket=s3_store.bucket_of(MINE)),
        nobody.list_buckets,
    ):
        with pytest.raises(ClientError):
            ask()


def test_a_wrong_secret_of_the_administrators(ruler: Fields) -> None:
    """It is an error that stays one, and nothing shows it."""
    stranger = tenants({**ruler, "secret_access_key": "mellon"})
    with pytest.raises(InvalidEnvironment) as caught:
        stranger.create(MINE, "one")
    assert "mellon" not in f"{caught.value}{stranger!r}"


@pytest.mark.parametrize("name", ["a", "retail*", "Retail", "retail.two", "retail/..", "-retail"])
def test_what_is_no_name_is_refused(ruler: Fields, name: str) -> None:
    """A policy's resource would mean more by it."""
    with pytest.raises(InvalidSpec, match="no name of a tenant"):
        tenants(ruler).create(name, "one")


def test_a_sealed_key_is_opened_by_its_password_only() -> None:
    """And fits into a tag, whose characters are few."""
    key = AccessKey("AKIA" + "K" * 16, "a/Secret+of/" + "forty" * 6)
    sealed = seal(key, "a password")
    assert len(sealed) <= 256
    assert set(sealed) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=:")
    assert key.secret not in sealed
    assert (key_id(sealed), unsealed(sealed, "a password")) == (key.id, key)
    assert unsealed(sealed, "another") is None
    assert unsealed(sealed.replace(key.id, "AKIA" + "L" * 16), "a password") is None
    assert (key_id("nothing"), unsealed("nothing", "a password")) == ("", None)
