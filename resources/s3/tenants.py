"""Tenant store on S3: a bucket and an IAM user for each tenant.

A bucket, and not a prefix of one that is shared: who may list a prefix only has to be kept there by conditions, which
not every server knows, and a bucket's sizes, versions, uploads and events are then its tenant's and nobody else's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Final

from pydantic import Field, PrivateAttr, SecretStr

from loopline.platform_core.contracts.tenant_store import TenantStore
from loopline.platform_core.foundation.one_a_process import OneAProcess
from loopline.platform_core.tenants.names import checked
from loopline.resources.aws.client import Reach, make_client
from loopline.resources.aws.failure import client_errors, code, translated_errors
from loopline.resources.s3.bucket import Bucket
from loopline.resources.s3.sealed import AccessKey, key_id, seal, unsealed

ON_BUCKET: Final = ("s3:ListBucket", "s3:GetBucketLocation")
ON_OBJECTS: Final = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload")
"""All that a tenant may: nothing on the bucket's policy, lists of rights, versions or tags, and nothing in IAM."""
POLICY: Final = "loopline-tenant"
NO_SECRET: Final = SecretStr("")
_NOBODY: Final = frozenset({"NoSuchEntity", "NoSuchUser"})


class S3Tenants(TenantStore):
    """A bucket ``<prefix><tenant>`` and a user of the same name, on AWS or a server with its APIs such as SeaweedFS.

    Names of buckets are the whole world's on AWS: let ``prefix`` begin with the organisation's name. ``endpoint_url``
    is where S3 answers and IAM does, unless that has an ``iam_endpoint_url``; both are AWS' own where they are left
    out. Without ``access_key_id`` the administrator is whom boto3's own chain finds.
    """

    extras = ("aws",)
    fields: ClassVar[tuple[str, ...]] = ("url", "endpoint", "access_key_id", "secret_access_key")

    prefix: str = Field("loopline-tenant-", pattern=r"^[a-z0-9][a-z0-9-]{0,37}$")
    region: str | None = None
    endpoint_url: str | None = None
    iam_endpoint_url: str | None = None
    access_key_id: str = ""
    secret_access_key: SecretStr = NO_SECRET
    timeout_seconds: float = Field(10.0, gt=0)
    _clients: dict[str, OneAProcess[Any]] = PrivateAttr(default_factory=dict)

    def create(self, tenant: str, password: str) -> Mapping[str, str]:
        """Make bucket, user and policy, and an access key, which the bucket's tag keeps, sealed by the password.

        With the same password the key stays the one that it is. With another, and where the key cannot be read, a new
        one takes the place of all that the user has, also of those that it made for itself where a server lets it.
        """
        name = self._name(tenant)
        with self._asking(tenant):
            self._make(name)
            key = self._standing_key(name, password) or self._new_key(name, password)
            self._open(name, key.id)
        endpoint = str(self._s3.meta.endpoint_url)
        return {"url": f"s3://{name}", "endpoint": endpoint, "access_key_id": key.id, "secret_access_key": key.secret}

    def suspend(self, tenant: str) -> None:
        """Take all rights away, so that no key is of use, nor what was signed by one, and then turn all keys off."""
        name = self._name(tenant)
        with self._asking(tenant):
            self._without_rights(name)
            for key in self._keys(name):
                if key["Status"] == "Active":
                    self._turn(name, key["AccessKeyId"], "Inactive")

    def resume(self, tenant: str) -> None:
        """Turn the key on that ``create`` gave, remove others, and give the policy back."""
        name = self._name(tenant)
        with self._asking(tenant):
            known = key_id(self._bucket(name).tag()) if self._bucket(name).is_there() else ""
            if known in {key["AccessKeyId"] for key in self._keys(name)}:
                self._open(name, known)

    def delete(self, tenant: str) -> None:
        """Shut the user out, remove all versions of all objects and what was never completed, the bucket, the user.

        Raises:
            Refused: the bucket holds what may not be removed before its time.
        """
        self.suspend(tenant)
        name = self._name(tenant)
        with self._asking(tenant):
            self._bucket(name).remove()
            for key in self._keys(name):
                self._iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
            self._if_there(self._iam.delete_user, UserName=name)

    def holds(self, tenant: str) -> tuple[str, ...]:
        """Name the user, its keys and policy, and the bucket with what lies there: a hundred objects, and that more."""
        name = self._name(tenant)
        with self._asking(tenant):
            found = [f"user {name}"] if self._user(name) else []
            found += [f"access key of {name}"] * len(self._keys(name))
            found += [f"policy {policy} of {name}" for policy in self._policies(name)]
            return (*found, *self._bucket(name).named())

    def is_open(self, tenant: str) -> bool:
        """Look for a policy and a key that is on."""
        name = self._name(tenant)
        with self._asking(tenant):
            return any(key["Status"] == "Active" for key in self._keys(name)) and POLICY in self._policies(name)

    def stored_bytes(self, tenant: str) -> int:
        """Add up the sizes of all versions, and of the parts of uploads that were never completed."""
        with self._asking(tenant):
            return self._bucket(self._name(tenant)).size()

    def close(self) -> None:
        """Forget the clients."""
        self._clients.clear()

    def _make(self, name: str) -> None:
        self._bucket(name).make(self.region)
        if self._user(name) is None:
            self._iam.create_user(UserName=name)

    def _user(self, name: str) -> Any:
        return self._if_there(self._iam.get_user, UserName=name)

    def _standing_key(self, name: str, password: str) -> AccessKey | None:
        """Return the key that the tag keeps, if the password opens it and the user has it still."""
        key = unsealed(self._bucket(name).tag(), password)
        return key if key and key.id in {one["AccessKeyId"] for one in self._keys(name)} else None

    def _new_key(self, name: str, password: str) -> AccessKey:
        """Remove every key, since there may be two at most, and make another."""
        self._without_keys(name)
        made = self._iam.create_access_key(UserName=name)["AccessKey"]
        key = AccessKey(made["AccessKeyId"], made["SecretAccessKey"])
        self._bucket(name).set_tag(seal(key, password))
        return key

    def _open(self, name: str, key: str) -> None:
        """Let this key be the only one, and on, and give the user its rights, and no others."""
        self._without_keys(name, but=key)
        self._without_rights(name, but=POLICY)
        self._turn(name, key, "Active")
        self._iam.put_user_policy(UserName=name, PolicyName=POLICY, PolicyDocument=_policy(name))

    def _without_keys(self, name: str, but: str = "") -> None:
        for key in self._keys(name):
            if key["AccessKeyId"] != but:
                self._iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])

    def _without_rights(self, name: str, but: str = "") -> None:
        for policy in self._policies(name):
            if policy != but:
                self._if_there(self._iam.delete_user_policy, UserName=name, PolicyName=policy)

    def _turn(self, name: str, key: str, status: str) -> None:
        self._iam.update_access_key(UserName=name, AccessKeyId=key, Status=status)

    def _keys(self, name: str) -> Sequence[Mapping[str, str]]:
        told = self._if_there(self._iam.list_access_keys, UserName=name)
        return told["AccessKeyMetadata"] if told else []

    def _policies(self, name: str) -> Sequence[str]:
        told = self._if_there(self._iam.list_user_policies, UserName=name)
        return told["PolicyNames"] if told else []

    @staticmethod
    def _if_there(ask: Any, **said: str) -> Any:
        """Ask about what may not be there; then there is no answer."""
        try:
            return ask(**said)
        except client_errors() as error:
            if code(error) in _NOBODY:
                return None
            raise

    def _bucket(self, name: str) -> Bucket:
        return Bucket(self._s3, name)

    def _name(self, tenant: str) -> str:
        return f"{self.prefix}{checked(tenant)}"

    @property
    def _s3(self) -> Any:
        return self._client("s3", self.endpoint_url)

    @property
    def _iam(self) -> Any:
        return self._client("iam", self.iam_endpoint_url or self.endpoint_url)

    def _client(self, service: str, endpoint_url: str | None) -> Any:
        if service not in self._clients:
            secret = self.secret_access_key.get_secret_value()
            keys = (self.access_key_id, secret) if self.access_key_id else None
            reach = Reach(self.region, endpoint_url, self.timeout_seconds, tries=2, keys=keys)
            self._clients[service] = OneAProcess(lambda: make_client(service, reach, "tenants"))
        return self._clients[service].get()

    @contextmanager
    def _asking(self, tenant: str) -> Iterator[None]:
        with translated_errors(f"tenant {tenant}"):
            yield


def _policy(bucket: str) -> str:
    place = f"arn:aws:s3:::{bucket}"
    rights = ((ON_BUCKET, place), (ON_OBJECTS, f"{place}/*"))
    allowed = [{"Effect": "Allow", "Action": list(actions), "Resource": [where]} for actions, where in rights]
    return json.dumps({"Version": "2012-10-17", "Statement": allowed})
