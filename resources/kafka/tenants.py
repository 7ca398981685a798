"""Tenant store on Kafka: a SCRAM user each, with ACLs on topics, groups and transactions by prefix."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final

from pydantic import Field, PrivateAttr

from loopline.platform_core.contracts.tenant_store import TenantStore
from loopline.platform_core.errors import InvalidEnvironment, StoreUnavailable
from loopline.platform_core.foundation.one_a_process import OneAProcess
from loopline.platform_core.tenants.names import checked
from loopline.resources.kafka.client_callbacks import Told
from loopline.resources.kafka.log_sizes import sizes
from loopline.resources.kafka.security import KafkaConnection

if TYPE_CHECKING:
    from confluent_kafka.admin import AclBinding, AdminClient

LOG = logging.getLogger("loopline.kafka")
ALLOWED: Final = {
    "TOPIC": ("READ", "WRITE", "CREATE", "DELETE", "DESCRIBE", "DESCRIBE_CONFIGS"),
    "GROUP": ("READ", "DELETE", "DESCRIBE"),
    "TRANSACTIONAL_ID": ("WRITE", "DESCRIBE"),
}
"""What a tenant may do to what its prefix begins; nothing to the cluster, nor to its own topics' settings."""
CLUSTER: Final = "kafka-cluster"
ITERATIONS: Final = 8192
_OPEN: Final = "allow.everyone.if.no.acl.found"
_NO_ONE, _IN_USE, _GONE = 91, 68, (3, 69)
"""Codes of the protocol: no such user; a group has members; no such topic, no such group."""
_NO_RIGHTS, _NO_SECURITY = (29, 30, 31, 53, 58), 54
NEEDS: Final = "name an administrator: Alter, Describe and DescribeConfigs of the cluster, and all of topics and groups"


class KafkaTenants(TenantStore, KafkaConnection):
    """A user ``<prefix><tenant>``, for topics, groups and transactional ids that begin with ``<prefix><tenant>.``.

    ``tenant_servers`` are the ``bootstrap_servers`` of the listener that tenants come by (SASL with SCRAM-SHA-512 and
    TLS), where an administrator's is another one. Suspended, a user is denied everything, so that connections that are
    open are of no use at once. Kafka ends none of them for another password: give brokers a
    ``connections.max.reauth.ms``. Nobody may reach a listener that asks for no name, and a cluster where what has no
    ACL is everybody's (``allow.everyone.if.no.acl.found``) keeps nobody apart, and is refused.
    """

    extras = ("kafka",)
    fields: ClassVar[tuple[str, ...]] = ("bootstrap_servers", "username", "password", "prefix")

    prefix: str = Field("tenant.", pattern=r"^[A-Za-z0-9._-]+$")
    tenant_servers: str = ""
    leaves_seconds: float = Field(30.0, gt=0)
    _admin: OneAProcess[AdminClient] | None = PrivateAttr(default=None)
    _told: Told | None = PrivateAttr(default=None)

    def create(self, tenant: str, password: str) -> Mapping[str, str]:
        """Give the rights, then the password, and take away what denies them.

        Raises:
            InvalidEnvironment: the administrator may not, or the cluster asks nobody for rights.
        """
        name = self._name(tenant)
        with self._asking(tenant) as admin:
            self._refuse_open(admin)
            self._add(admin, name, self._allowing(name))
            self._set_password(admin, name, password)
            self._forget_rights(admin, name, denying=True)
        servers = self.tenant_servers or self.bootstrap_servers
        return {"bootstrap_servers": servers, "username": name, "password": password, "prefix": f"{name}."}

    def suspend(self, tenant: str) -> None:
        """Deny the user everything: of what it may, and of connections that are open, nothing is of use."""
        name = self._name(tenant)
        with self._asking(tenant) as admin:
            if self._has_password(admin, name) or self._rights(admin, name):
                self._add(admin, name, self._denying(name))

    def resume(self, tenant: str) -> None:
        """Take away what denies."""
        with self._asking(tenant) as admin:
            self._forget_rights(admin, self._name(tenant), denying=True)

    def delete(self, tenant: str) -> None:
        """Deny the user everything, remove topics and groups, its password, and its rights last.

        Names of transactional ids stay in the cluster's own log until ``transactional.id.expiration.ms``, a week.

        Raises:
            StoreUnavailable: a group has a member still, whose session has not ended after ``leaves_seconds``.
        """
        self.suspend(tenant)
        name = self._name(tenant)
        with self._asking(tenant) as admin:
            if topics := self._topics(admin, name):
                _gone(admin.delete_topics(topics, operation_timeout=self.timeout_seconds))
            self._remove_groups(admin, name)
            if self._has_password(admin, name):
                self._drop_password(admin, name)
                self._seen(lambda: not self._has_password(admin, name))
            self._forget_rights(admin, name, denying=False)

    def holds(self, tenant: str) -> tuple[str, ...]:
        """Name the user, its rights, its topics and groups."""
        name = self._name(tenant)
        with self._asking(tenant) as admin:
            user = [f"user {name}"] if self._has_password(admin, name) else []
            rights = [_said(right) for right in self._rights(admin, name)]
            topics = [f"topic {topic}" for topic in self._topics(admin, name)]
            return (*user, *rights, *topics, *(f"group {group}" for group in self._groups(admin, name)))

    def is_open(self, tenant: str) -> bool:
        """Look for a password, rights, and nothing that denies them."""
        name = self._name(tenant)
        with self._asking(tenant) as admin:
            rights = self._rights(admin, name)
            return self._has_password(admin, name) and bool(rights) and not any(map(_denies, rights))

    def stored_bytes(self, tenant: str) -> int:
        """Add up what its topics take on the disks of all brokers, copies included."""
        name = self._name(tenant)
        with self._asking(tenant) as admin:
            brokers = admin.list_topics(timeout=self.timeout_seconds).brokers.values()
            return sum(sizes(self, [(each.host, each.port) for each in brokers], f"{name}.").values())

    def _name(self, tenant: str) -> str:
        return f"{self.prefix}{checked(tenant)}"

    def _topics(self, admin: AdminClient, name: str) -> list[str]:
        return sorted(
            one for one in admin.list_topics(timeout=self.timeout_seconds).topics if one.startswith(f"{name}.")
        )

    def _groups(self, admin: AdminClient, name: str) -> list[str]:
        listed = admin.list_consumer_groups(request_timeout=self.timeout_seconds).result()
        if listed.errors:
            raise listed.errors[0]
        return sorted(one.group_id for one in listed.valid if one.group_id.startswith(f"{name}."))

    def _remove_groups(self, admin: AdminClient, name: str) -> None:
        """Remove groups as their members' sessions end: they are denied to say that they are alive."""
        from confluent_kafka import KafkaException

        end = time.monotonic() + self.leaves_seconds
        while groups := self._groups(admin, name):
            try:
                _gone(admin.delete_consumer_groups(groups))
            except KafkaException as error:
                if error.args[0].code() != _IN_USE:
                    raise
                if time.monotonic() > end:
                    raise StoreUnavailable(
                        f"groups of {name} have members still: {', '.join(groups)}", "delete the tenant again"
                    ) from error
                time.sleep(0.5)

    def _set_password(self, admin: AdminClient, name: str, password: str) -> None:
        from confluent_kafka.admin import ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

        # not what it was before: so it is seen that a broker has the new one
        iterations = ITERATIONS + (self._iterations(admin, name) == ITERATIONS)
        kind = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, iterations)
        _done(admin.alter_user_scram_credentials([UserScramCredentialUpsertion(name, kind, password.encode())]))
        self._seen(lambda: self._iterations(admin, name) == iterations)

    def _drop_password(self, admin: AdminClient, name: str) -> None:
        from confluent_kafka.admin import ScramMechanism, UserScramCredentialDeletion

        _done(admin.alter_user_scram_credentials([UserScramCredentialDeletion(name, ScramMechanism.SCRAM_SHA_512)]))

    @staticmethod
    def _iterations(admin: AdminClient, name: str) -> int:
        """Return how a user's password is kept: by so many rounds of hashing, 0 where there is none."""
        from confluent_kafka import KafkaException

        try:
            told = admin.describe_user_scram_credentials([name])[name].result()
        except KafkaException as error:
            if error.args[0].code() == _NO_ONE:
                return 0
            raise
        return max((int(each.iterations) for each in told.scram_credential_infos), default=0)

    def _has_password(self, admin: AdminClient, name: str) -> bool:
        return self._iterations(admin, name) > 0

    def _seen(self, holds: Callable[[], bool]) -> None:
        """Wait until a broker has heard of what the controller has taken; others hear of it at the same time."""
        end = time.monotonic() + self.timeout_seconds
        while not holds():
            if time.monotonic() > end:
                raise StoreUnavailable("Kafka: the brokers have not heard of a change", "see that all of them are well")
            time.sleep(0.02)

    def _add(self, admin: AdminClient, name: str, rights: Sequence[AclBinding]) -> None:
        """Give rights, or what denies them, and wait until they hold."""
        _done(admin.create_acls(list(rights)))
        self._seen(lambda: set(rights) <= set(self._rights(admin, name)))

    @staticmethod
    def _rights(admin: AdminClient, name: str, *, denying: bool = False) -> Sequence[AclBinding]:
        found: Sequence[AclBinding] = admin.describe_acls(_filter(name, denying=denying)).result()
        return found

    def _forget_rights(self, admin: AdminClient, name: str, *, denying: bool) -> None:
        _done(admin.delete_acls([_filter(name, denying=denying)]))
        self._seen(lambda: not self._rights(admin, name, denying=denying))

    def _allowing(self, name: str) -> list[AclBinding]:
        """Write the rights to what begins with the user's name and a dot, which no name of a tenant has."""
        rights = ((kind, operation) for kind, operations in ALLOWED.items() for operation in operations)
        return [_right(name, kind, f"{name}.", operation) for kind, operation in rights]

    @staticmethod
    def _denying(name: str) -> list[AclBinding]:
        return [_right(name, kind, "*", "ALL") for kind in ALLOWED] + [_right(name, "BROKER", CLUSTER, "ALL")]

    def _refuse_powerless(self, admin: AdminClient) -> None:
        """Refuse whoever may not rule the cluster, before anything is asked.

        Of rights that one may not see the client library says that there are none, and of passwords it breaks down.
        """
        from confluent_kafka.admin import AclOperation

        needed = {AclOperation.ALTER, AclOperation.DESCRIBE, AclOperation.DESCRIBE_CONFIGS}
        asked = admin.describe_cluster(include_authorized_operations=True, request_timeout=self.timeout_seconds)
        if lacking := needed - set(asked.result().authorized_operations or ()):
            named = ", ".join(sorted(each.name for each in lacking))
            raise InvalidEnvironment(f"Kafka: {self.who} may not rule the cluster: it lacks {named}", NEEDS)

    def _refuse_open(self, admin: AdminClient) -> None:
        """Refuse a cluster that lets everybody do what no ACL tells of."""
        from confluent_kafka.admin import ConfigResource, ResourceType

        broker = next(iter(admin.list_topics(timeout=self.timeout_seconds).brokers))
        asked = ConfigResource(ResourceType.BROKER, str(broker))
        said = admin.describe_configs([asked])[asked].result().get(_OPEN)
        if said is not None and said.value == "true":
            raise InvalidEnvironment(
                f"Kafka: {_OPEN} is true, so that every tenant may do what no ACL tells of", "set it to false"
            )

    @contextmanager
    def _asking(self, tenant: str) -> Iterator[AdminClient]:
        from confluent_kafka import KafkaException

        told = self._hearing()
        admin = self._client(told)
        try:
            self._refuse_powerless(admin)
            told.well()
            yield admin
        except KafkaException as error:
            code = error.args[0].code()
            if code == _NO_SECURITY:
                raise InvalidEnvironment(
                    "Kafka: the cluster asks nobody for rights", "set authorizer.class.name"
                ) from error
            if code in _NO_RIGHTS:
                raise InvalidEnvironment(f"Kafka: {self.who} may not: {error.args[0].str()}", NEEDS) from error
            admin.poll(0)  # for what was heard of connections
            raise told.error(tenant, error) from error

    def _hearing(self) -> Told:
        if self._told is None:
            self._told = Told(self.who, self.tls.ca if self.tls else None)
        return self._told

    def _client(self, told: Told) -> AdminClient:
        if self._admin is None:
            from confluent_kafka.admin import AdminClient

            settings = {"logger": LOG, "error_cb": told.hear, "socket.timeout.ms": int(self.timeout_seconds * 1000)}
            self._admin = OneAProcess(lambda: AdminClient(settings | self.client_settings()))
        return self._admin.get()


def _filter(name: str, *, denying: bool) -> Any:
    from confluent_kafka.admin import (
        AclBindingFilter,
        AclOperation,
        AclPermissionType,
        ResourcePatternType,
        ResourceType,
    )

    permission = AclPermissionType.DENY if denying else AclPermissionType.ANY
    every = (ResourceType.ANY, None, ResourcePatternType.ANY, f"User:{name}", None, AclOperation.ANY)
    return AclBindingFilter(*every, permission)


def _right(name: str, kind: str, what: str, operation: str) -> AclBinding:
    """Write a right to what begins so, or what denies it, where all or the cluster is meant."""
    from confluent_kafka.admin import AclBinding, AclOperation, AclPermissionType, ResourcePatternType, ResourceType

    denied = operation == "ALL"
    pattern = ResourcePatternType.LITERAL if denied else ResourcePatternType.PREFIXED
    permission = AclPermissionType.DENY if denied else AclPermissionType.ALLOW
    return AclBinding(ResourceType[kind], what, pattern, f"User:{name}", "*", AclOperation[operation], permission)


def _said(right: AclBinding) -> str:
    verb = "denied" if _denies(right) else "right"
    return f"{verb} {right.operation.name} of {right.restype.name} {right.name}"


def _denies(right: AclBinding) -> bool:
    return bool(right.permission_type.name == "DENY")


def _done(asked: Mapping[Any, Any]) -> None:
    for one in asked.values():
        one.result()


def _gone(asked: Mapping[Any, Any]) -> None:
    """Wait until all is removed; what was removed meanwhile is."""
    from confluent_kafka import KafkaException

    for one in asked.values():
        try:
            one.result()
        except KafkaException as error:
            if error.args[0].code() not in _GONE:
                raise
