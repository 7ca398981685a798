# What inference servers may do. Those of an endpoint group have the prefix <group>/ of the container to themselves.

resource "azurerm_role_assignment" "serving_blobs" {
  scope              = azurerm_storage_container.serving.id
  role_definition_id = azurerm_role_definition.read_and_write_blobs.role_definition_resource_id
  principal_id       = azurerm_user_assigned_identity.serving.principal_id
  principal_type     = "ServicePrincipal"
}

resource "azurerm_role_assignment" "serving_deletes_reports" {
  scope              = azurerm_storage_container.serving.id
  role_definition_id = azurerm_role_definition.delete_blobs.role_definition_resource_id
  principal_id       = azurerm_user_assigned_identity.serving.principal_id
  principal_type     = "ServicePrincipal"
  condition_version  = "2.0"
  condition          = "((!(ActionMatches{'Microsoft.Storage/storageAccounts/blobServices/containers/blobs/delete'})) OR (@Resource[Microsoft.Storage/storageAccounts/blobServices/containers/blobs:path] StringStartsWith 'observed/' OR @Resource[Microsoft.Storage/storageAccounts/blobServices/containers/blobs:path] StringLike '*/observed/*'))"
}

resource "azurerm_role_assignment" "serving_secrets" {
  scope              = azurerm_key_vault.this.id
  role_definition_id = azurerm_role_definition.read_secrets.role_definition_resource_id
  principal_id       = azurerm_user_assigned_identity.serving.principal_id
  principal_type     = "ServicePrincipal"
}

resource "azurerm_cosmosdb_sql_role_definition" "serving" {
  name                = "read online rows"
  resource_group_name = azurerm_resource_group.this.name
  account_name        = azurerm_cosmosdb_account.this.name
  type                = "CustomRole"
  assignable_scopes   = [azurerm_cosmosdb_account.this.id]
  permissions {
    data_actions = [
      "Microsoft.DocumentDB/databaseAccounts/readMetadata",
      "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/executeQuery",
      "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/items/read"
    ]
  }
}

resource "azurerm_cosmosdb_sql_role_assignment" "serving" {
  resource_group_name = azurerm_resource_group.this.name
  account_name        = azurerm_cosmosdb_account.this.name
  role_definition_id  = azurerm_cosmosdb_sql_role_definition.serving.id
  principal_id        = azurerm_user_assigned_identity.serving.principal_id
  scope               = local.features
}
