"""What must be so of everything that is made on Azure; each check gives what is wrong, by its address.

Azure encrypts all that it keeps; blobs are encrypted twice.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.deploy.terraform.checks import Holds, failing, holding, knowing, listed, tags_are_asked_for
from tests.deploy.terraform.hcl import Block, Configuration

_LEAST_BACKUP_DAYS = 7
_ML = "Microsoft.MachineLearningServices/workspaces"
_OF_JOBS = (
    *(f"{_ML}/{each}/" for each in ("environments/versions", "experiments/runs", "jobs", "onlineEndpoints")),
    "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action",
)
"""What begins the actions of training jobs and endpoints: these alone are no data actions."""
_INTERNET = {"*", "0.0.0.0/0", "Internet"}


def _is_tagged(one: Block) -> bool:
    return one.body.get("tags") == "${local.tags}"


def _is_private(one: Block) -> bool:
    return one.body.get("public_network_access_enabled") is False


def _is_held(one: Block) -> bool:
    return one.inner("lifecycle").get("prevent_destroy") is True


KEPT: dict[str, Holds] = {
    "azurerm_cosmosdb_account": _is_held,
    "azurerm_cosmosdb_sql_container": _is_held,
    "azurerm_key_vault": lambda one: one.body.get("purge_protection_enabled") is True,
    "azurerm_postgresql_flexible_server": _is_held,
    "azurerm_postgresql_flexible_server_database": _is_held,
    "azurerm_storage_account": _is_held,
}
RECOVERABLE: dict[str, Holds] = {
    "azurerm_cosmosdb_account": lambda one: one.inner("backup").get("type") == "Continuous",
    "azurerm_postgresql_flexible_server": lambda one: one.body.get("backup_retention_days", 0) >= _LEAST_BACKUP_DAYS,
    "azurerm_storage_account": lambda one: (
        one.inner("blob_properties").get("versioning_enabled") is True
        and "days" in one.inner("blob_properties", "delete_retention_policy")
        and "days" in one.inner("blob_properties", "container_delete_retention_policy")
    ),
    "azurerm_storage_management_policy": lambda one: (
        "delete_after_days_since_creation" in one.inner("rule", "actions", "version")
    ),
}
WITHOUT_KEYS: dict[str, Holds] = {
    "azurerm_container_registry": lambda one: one.body.get("admin_enabled") is False,
    "azurerm_cosmosdb_account": lambda one: one.body.get("local_authentication_disabled") is True,
    "azurerm_key_vault": lambda one: one.body.get("rbac_authorization_enabled") is True,
    "azurerm_storage_account": lambda one: one.body.get("shared_access_key_enabled") is False,
}
TLS: dict[str, Holds] = {
    "azurerm_cosmosdb_account": lambda one: one.body.get("minimal_tls_version") == "Tls12",
    "azurerm_postgresql_flexible_server_configuration": lambda one: (
        (one.body["name"], one.body["value"]) == ("require_secure_transport", "on")
    ),
    "azurerm_storage_account": lambda one: (
        one.body.get("https_traffic_only_enabled") is True and one.body.get("min_tls_version") == "TLS1_2"
    ),
}
PRIVATE: dict[str, Holds] = dict.fromkeys(
    (
        *("azurerm_container_registry", "azurerm_cosmosdb_account", "azurerm_key_vault"),
        *("azurerm_postgresql_flexible_server", "azurerm_storage_account"),
    ),
    _is_private,
)
TAGGED: dict[str, Holds] = {
    **dict.fromkeys(PRIVATE, _is_tagged),
    **dict.fromkeys(
        (
            "azurerm_eventgrid_system_topic",
            *("azurerm_network_security_group", "azurerm_private_dns_zone", "azurerm_private_endpoint"),
            *("azurerm_private_dns_zone_virtual_network_link", "azurerm_resource_group"),
            *("azurerm_user_assigned_identity", "azurerm_virtual_network"),
        ),
        _is_tagged,
    ),
}
UNTAGGED = {
    *("azurerm_cosmosdb_sql_container", "azurerm_cosmosdb_sql_database", "azurerm_cosmosdb_sql_role_assignment"),
    *("azurerm_cosmosdb_sql_role_definition", "azurerm_federated_identity_credential", "azurerm_role_assignment"),
    *("azurerm_postgresql_flexible_server_configuration", "azurerm_postgresql_flexible_server_database"),
    *("azurerm_role_definition", "azurerm_storage_container", "azurerm_storage_management_policy", "azurerm_subnet"),
    *("azurerm_subnet_network_security_group_association", "azurerm_storage_queue"),
    "azurerm_eventgrid_system_topic_event_subscription",
}
"""Types that have no tags: parts of others, and rights."""


def no_container_is_public(made: Configuration) -> Iterator[str]:
    """Find containers that could be public, by whatever way there is."""
    for one in made.blocks("azurerm_storage_account"):
        if one.body.get("allow_nested_items_to_be_public") is not False:
            yield f"{one.address} may have public containers"
    for one in made.blocks("azurerm_storage_container"):
        if one.body.get("container_access_type") != "private":
            yield f"{one.address} is public"


def all_is_encrypted(made: Configuration) -> Iterator[str]:
    """Find blobs that are encrypted once."""
    for one in made.blocks("azurerm_storage_account"):
        if one.body.get("infrastructure_encryption_enabled") is not True:
            yield f"{one.address} is not encrypted twice"


def all_can_be_had_back(made: Configuration) -> Iterator[str]:
    """Find what is gone once it was written over, or stays for ever."""
    yield from failing(made, RECOVERABLE, "cannot be had back, or keeps old versions for ever")
    if not made.blocks("azurerm_storage_management_policy"):
        yield "azurerm_storage_account.this keeps old versions for ever"


def all_is_tagged(made: Configuration) -> Iterator[str]:
    """Find what nobody's name would stand on: the provider adds nothing."""
    yield from tags_are_asked_for(made, "tags")
    yield from failing(made, TAGGED, "has not the tags of everything")


def rights_are_narrow(made: Configuration) -> Iterator[str]:
    """Find roles that are not ours, that manage something, or have wildcards, and rights on more than one thing."""
    for role in made.blocks("azurerm_role_definition") + made.blocks("azurerm_cosmosdb_sql_role_definition"):
        said = role.inner("permissions")
        yield from (f"{role.address} has {each}" for each in said.get("data_actions", ()) if "*" in each)
        if any(not each.startswith(_OF_JOBS) or "*" in each for each in said.get("actions", ())):
            yield f"{role.address} manages something"
    for one in made.blocks("azurerm_role_assignment") + made.blocks("azurerm_cosmosdb_sql_role_assignment"):
        if "role_definition_name" in one.body or "_role_definition." not in one.body.get("role_definition_id", ""):
            yield f"{one.address} gives a role that is not ours"
        if one.body["scope"].startswith(
            ("${azurerm_resource_group", "${azurerm_storage_account", "${azurerm_cosmosdb")
        ):
            yield f"{one.address} holds on more than it must"


def all_speak_tls(made: Configuration) -> Iterator[str]:
    """Find what would answer in clear, or by what is no longer safe."""
    yield from failing(made, TLS, "answers without TLS, or by an old one")
    if not made.blocks("azurerm_postgresql_flexible_server_configuration"):
        yield "azurerm_postgresql_flexible_server.this answers without TLS"


def nothing_is_reached_from_outside(made: Configuration) -> Iterator[str]:
    """Find ways in from the internet, and out to it."""
    yield from failing(made, PRIVATE, "may be reached from outside")
    for group in made.blocks("azurerm_network_security_group"):
        denied = set()
        for rule in group.body["security_rule"]:
            way = "source" if rule["direction"] == "Inbound" else "destination"
            if rule["access"] == "Deny":
                denied |= {rule["direction"]} if rule[f"{way}_address_prefix"] == "Internet" else set()
            elif rule[f"{way}_address_prefix"] in _INTERNET:
                yield f"{group.address} lets {rule['name']} through"
        yield from (f"{group.address} denies nothing {way}" for way in ("Inbound", "Outbound") if way not in denied)
    for one in made.blocks("azurerm_subnet"):
        if one.body.get("default_outbound_access_enabled") is not False:
            yield f"{one.address} leads to the internet"


CHECKS = listed(
    *(no_container_is_public, all_is_encrypted, all_can_be_had_back, all_is_tagged, rights_are_narrow, all_speak_tls),
    nothing_is_reached_from_outside,
    types_are_known=knowing(TAGGED.keys() | UNTAGGED),
    nothing_is_deleted_by_mistake=holding(KEPT),
    nobody_has_a_key=holding(WITHOUT_KEYS, "answers to keys"),
)


def reasons(made: Configuration) -> tuple[set[str], set[str]]:
    """Return what has a reason why it is not narrower, and what is not: nothing."""
    assert made.blocks("azurerm_role_assignment")
    return set(), set()
