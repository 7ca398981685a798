"""Files for Azure that are broken, each in one place, and what finds it."""

from __future__ import annotations

from tests.deploy.terraform.checks import NOT_HELD, broken

BROKEN = broken(
    what_is_named_is_there=[
        ("storage.tf", "azurerm_resource_group.this.name", "azurerm_resource_group.x.name", "x is"),
        ("rights_loop.tf", "local.features", "local.rows", "local.rows is not there"),
        ("database.tf", "var.database_sku", '"B_Standard_B1ms"', "var.database_sku is used by"),
    ],
    types_are_known=[
        ("identities.tf", '"azurerm_user_assigned_identity" "loop"', '"azurerm_vm" "loop"', "azurerm_vm"),
    ],
    no_container_is_public=[
        ("storage.tf", "allow_nested_items_to_be_public   = false", "", "public containers"),
        ("storage.tf", '"private"', '"blob"', "azurerm_storage_container.loop is public"),
    ],
    all_is_encrypted=[
        ("storage.tf", "infrastructure_encryption_enabled = true", "", "is not encrypted twice"),
    ],
    all_can_be_had_back=[
        ("storage.tf", "versioning_enabled = true", "", "azurerm_storage_account.this cannot"),
        ("storage.tf", "    delete_retention_policy", "    retention_policy", "account.this cannot"),
        ("storage.tf", "      version {", "      snapshot {", "management_policy.this cannot"),
        ("storage.tf", '"azurerm_storage_management_policy"', '"azurerm_x"', "versions for ever"),
        ("tables.tf", '"Continuous"', '"Periodic"', "azurerm_cosmosdb_account.this cannot"),
        ("database.tf", "= 14", "= 1", "azurerm_postgresql_flexible_server.this cannot"),
    ],
    all_is_tagged=[
        ("variables.tf", ' && contains(keys(var.tags), "cost-center")', "", "asks for no 'cost-center'"),
        ("images.tf", "= local.tags", "= {}", "azurerm_container_registry.this has not the tags"),
    ],
    nobody_has_a_key=[
        ("storage.tf", "shared_access_key_enabled         = false", "", "azurerm_storage_account.this answers to"),
        ("tables.tf", "local_authentication_disabled    = true", "", "azurerm_cosmosdb_account.this answers to keys"),
        ("images.tf", "admin_enabled                 = false", "", "azurerm_container_registry.this answers to keys"),
        ("secrets.tf", "rbac_authorization_enabled    = true", "", "azurerm_key_vault.this answers to keys"),
    ],
    rights_are_narrow=[
        ("rights.tf", "blobs/delete", "blobs/*", "delete_blobs has Microsoft.Storage"),
        ("rights.tf", "data_actions = [", 'actions = ["a"]\ndata_actions = [', "manages something"),
        (
            "rights_serving.tf",
            "azurerm_role_definition.read_secrets.role_definition_resource_id",
            '"/providers/Microsoft.Authorization/roleDefinitions/b24988ac-6180-42a0-ab88-20f7382dd24c"',
            "serving_secrets gives a role that is not ours",
        ),
        (
            "rights_loop.tf",
            "= azurerm_storage_container.loop.id",
            "= azurerm_storage_account.this.id",
            "loop_blobs holds on more",
        ),
        (
            "notifications.tf",
            "= azurerm_storage_queue.landing.id",
            "= azurerm_storage_account.this.id",
            "account_tells holds on more",
        ),
    ],
    all_speak_tls=[
        ("storage.tf", "https_traffic_only_enabled        = true", "", "storage_account.this answers"),
        ("tables.tf", '"Tls12"', '"Tls"', "azurerm_cosmosdb_account.this answers without TLS"),
        ("database.tf", '= "on"', '= "off"', "server_configuration.tls answers without TLS"),
        ("database.tf", '_configuration" "tls"', '_x" "tls"', "flexible_server.this answers without TLS"),
    ],
    nothing_is_reached_from_outside=[
        (
            "storage.tf",
            "public_network_access_enabled     = false",
            "",
            "azurerm_storage_account.this may be reached from outside",
        ),
        ("network.tf", "source_address_prefix      = var.cidr", 'source_address_prefix = "*"', "lets from-here"),
        ("network.tf", 'destination_address_prefix = "Internet"', 'destination_address_prefix = "X"', "Outbound"),
        ("network.tf", "default_outbound_access_enabled = false", "", "azurerm_subnet.nodes leads to the"),
    ],
    nothing_is_deleted_by_mistake=[
        ("storage.tf", "prevent_destroy = true", "", f"azurerm_storage_account.this {NOT_HELD}"),
        ("tables.tf", "prevent_destroy = true", "", f"azurerm_cosmosdb_account.this {NOT_HELD}"),
        ("database.tf", "prevent_destroy = true", "", f"azurerm_postgresql_flexible_server.this {NOT_HELD}"),
        ("secrets.tf", "purge_protection_enabled      = true", "", f"azurerm_key_vault.this {NOT_HELD}"),
    ],
)
