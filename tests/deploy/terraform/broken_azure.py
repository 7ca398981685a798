"""Files for Azure that are broken, each in one place, and what finds it."""

from __future__ import annotations

from tests.deploy.terraform.checks import Broken

_OUTSIDE, _KEPT, _KEY = "nothing_is_reached_from_outside", "nothing_is_deleted_by_mistake", "nobody_has_a_key"
_PUBLIC = "public_network_access_enabled     = false"
_NOT_HELD = "is not held against deletion"
BROKEN: list[Broken] = [
    (
        "what_is_named_is_there",
        "storage.tf",
        "azurerm_resource_group.this.name",
        "azurerm_resource_group.x.name",
        "x is",
    ),
    ("what_is_named_is_there", "rights_loop.tf", "local.features", "local.rows", "local.rows is not there"),
    ("what_is_named_is_there", "database.tf", "var.database_sku", '"B_Standard_B1ms"', "var.database_sku is used by"),
    (
        "types_are_known",
        "identities.tf",
        '"azurerm_user_assigned_identity" "loop"',
        '"azurerm_vm" "loop"',
        "azurerm_vm",
    ),
    ("no_container_is_public", "storage.tf", "allow_nested_items_to_be_public   = false", "", "public containers"),
    ("no_container_is_public", "storage.tf", '"private"', '"blob"', "azurerm_storage_container.loop is public"),
    ("all_is_encrypted", "storage.tf", "infrastructure_encryption_enabled = true", "", "is not encrypted twice"),
    ("all_can_be_had_back", "storage.tf", "versioning_enabled = true", "", "azurerm_storage_account.this cannot"),
    ("all_can_be_had_back", "storage.tf", "    delete_retention_policy", "    retention_policy", "account.this cannot"),
    ("all_can_be_had_back", "storage.tf", "      version {", "      snapshot {", "management_policy.this cannot"),
    ("all_can_be_had_back", "storage.tf", '"azurerm_storage_management_policy"', '"azurerm_x"', "versions for ever"),
    ("all_can_be_had_back", "tables.tf", '"Continuous"', '"Periodic"', "azurerm_cosmosdb_account.this cannot"),
    ("all_can_be_had_back", "database.tf", "= 14", "= 1", "azurerm_postgresql_flexible_server.this cannot"),
    ("all_is_tagged", "variables.tf", ' && contains(keys(var.tags), "cost-center")', "", "asks for no 'cost-center'"),
    ("all_is_tagged", "images.tf", "= local.tags", "= {}", "azurerm_container_registry.this has not the tags"),
    (_KEY, "storage.tf", "shared_access_key_enabled         = false", "", "azurerm_storage_account.this answers to"),
    (_KEY, "tables.tf", "local_authentication_disabled    = true", "", "azurerm_cosmosdb_account.this answers to keys"),
    (_KEY, "images.tf", "admin_enabled                 = false", "", "azurerm_container_registry.this answers to keys"),
    (_KEY, "secrets.tf", "rbac_authorization_enabled    = true", "", "azurerm_key_vault.this answers to keys"),
    ("rights_are_narrow", "rights.tf", "blobs/delete", "blobs/*", "delete_blobs has Microsoft.Storage"),
    ("rights_are_narrow", "rights.tf", "data_actions = [", 'actions = ["a"]\ndata_actions = [', "manages something"),
    (
        "rights_are_narrow",
        "rights_serving.tf",
        "azurerm_role_definition.read_secrets.role_definition_resource_id",
        '"/providers/Microsoft.Authorization/roleDefinitions/b24988ac-6180-42a0-ab88-20f7382dd24c"',
        "serving_secrets gives a role that is not ours",
    ),
    (
        "rights_are_narrow",
        "rights_loop.tf",
        "= azurerm_storage_container.loop.id",
        "= azurerm_storage_account.this.id",
        "loop_blobs holds on more",
    ),
    (
        "rights_are_narrow",
        "notifications.tf",
        "= azurerm_storage_queue.landing.id",
        "= azurerm_storage_account.this.id",
        "account_tells holds on more",
    ),
    ("all_speak_tls", "storage.tf", "https_traffic_only_enabled        = true", "", "storage_account.this answers"),
    ("all_speak_tls", "tables.tf", '"Tls12"', '"Tls"', "azurerm_cosmosdb_account.this answers without TLS"),
    ("all_speak_tls", "database.tf", '= "on"', '= "off"', "server_configuration.tls answers without TLS"),
    ("all_speak_tls", "database.tf", '_configuration" "tls"', '_x" "tls"', "flexible_server.this answers without TLS"),
    (_OUTSIDE, "storage.tf", _PUBLIC, "", "azurerm_storage_account.this may be reached from outside"),
    (_OUTSIDE, "network.tf", "source_address_prefix      = var.cidr", 'source_address_prefix = "*"', "lets from-here"),
    (_OUTSIDE, "network.tf", 'destination_address_prefix = "Internet"', 'destination_address_prefix = "X"', "Outbound"),
    (_OUTSIDE, "network.tf", "default_outbound_access_enabled = false", "", "azurerm_subnet.nodes leads to the"),
    (_KEPT, "storage.tf", "prevent_destroy = true", "", f"azurerm_storage_account.this {_NOT_HELD}"),
    (_KEPT, "tables.tf", "prevent_destroy = true", "", f"azurerm_cosmosdb_account.this {_NOT_HELD}"),
    (_KEPT, "database.tf", "prevent_destroy = true", "", f"azurerm_postgresql_flexible_server.this {_NOT_HELD}"),
    (_KEPT, "secrets.tf", "purge_protection_enabled      = true", "", f"azurerm_key_vault.this {_NOT_HELD}"),
]
