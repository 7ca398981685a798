# What Dagster's pods and code locations may do.

resource "azurerm_role_assignment" "loop_blobs" {
  scope              = azurerm_storage_container.loop.id
  role_definition_id = azurerm_role_definition.read_and_write_blobs.role_definition_resource_id
  principal_id       = azurerm_user_assigned_identity.loop.principal_id
  principal_type     = "ServicePrincipal"
}

resource "azurerm_role_assignment" "loop_deletes_blobs" {
  scope              = azurerm_storage_container.loop.id
  role_definition_id = azurerm_role_definition.delete_blobs.role_definition_resource_id
  principal_id       = azurerm_user_assigned_identity.loop.principal_id
  principal_type     = "ServicePrincipal"
}

resource "azurerm_role_assignment" "loop_deploys" {
  scope              = azurerm_storage_container.serving.id
  role_definition_id = azurerm_role_definition.read_and_write_blobs.role_definition_resource_id
  principal_id       = azurerm_user_assigned_identity.loop.principal_id
  principal_type     = "ServicePrincipal"
}

resource "azurerm_role_assignment" "loop_tidies_up" {
  scope              = azurerm_storage_container.serving.id
  role_definition_id = azurerm_role_definition.delete_blobs.role_definition_resource_id
  principal_id       = azurerm_user_assigned_identity.loop.principal_id
  principal_type     = "ServicePrincipal"
}

resource "azurerm_role_assignment" "loop_secrets" {
  scope              = azurerm_key_vault.this.id
  role_definition_id = azurerm_role_definition.read_secrets.role_definition_resource_id
  principal_id       = azurerm_user_assigned_identity.loop.principal_id
  principal_type     = "ServicePrincipal"
}

resource "azurerm_cosmosdb_sql_role_definition" "loop" {
  name                = "online rows"
  resource_group_name = azurerm_resource_group.this.name
  account_name        = azurerm_cosmosdb_account.this.name
  type                = "CustomRole"
  assignable_scopes   = [azurerm_cosmosdb_account.this.id]
  permissions {
    data_actions = [
      "Microsoft.DocumentDB/databaseAccounts/readMetadata",
      "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/executeQuery",
      "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/items/create",
      "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/items/delete",
      "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/items/read",
      "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/items/replace"
    ]
  }
}

resource "azurerm_cosmosdb_sql_role_assignment" "loop" {
  resource_group_name = azurerm_resource_group.this.name
  account_name        = azurerm_cosmosdb_account.this.name
  role_definition_id  = azurerm_cosmosdb_sql_role_definition.loop.id
  principal_id        = azurerm_user_assigned_identity.loop.principal_id
  scope               = local.features
}
