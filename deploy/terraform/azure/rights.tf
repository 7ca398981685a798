# What more than one identity may do. A role is given for one container, vault or collection, see rights_*.tf.
# Of those that are built in, Storage Blob Data Contributor may also delete containers and make keys by which others read, Key Vault Secrets
# User also lists what secrets there are, and Cosmos DB's Data Contributor reads what changed and writes on no condition (upsert).

resource "azurerm_role_definition" "read_and_write_blobs" {
  name              = "${local.short}: read and write blobs"
  scope             = azurerm_resource_group.this.id
  assignable_scopes = [azurerm_resource_group.this.id]
  permissions {
    data_actions = [
      "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read",
      "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write"
    ]
  }
}

resource "azurerm_role_definition" "delete_blobs" {
  name              = "${local.short}: delete blobs"
  scope             = azurerm_resource_group.this.id
  assignable_scopes = [azurerm_resource_group.this.id]
  permissions {
    data_actions = [
      "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/delete"
    ]
  }
}

resource "azurerm_role_definition" "read_secrets" {
  name              = "${local.short}: read secrets"
  scope             = azurerm_resource_group.this.id
  assignable_scopes = [azurerm_resource_group.this.id]
  permissions {
    data_actions = [
      "Microsoft.KeyVault/vaults/secrets/getSecret/action"
    ]
  }
}

locals {
  workspace = "${azurerm_resource_group.this.id}/providers/Microsoft.MachineLearningServices/workspaces/${var.workspace}"
  features  = "${azurerm_cosmosdb_account.this.id}/dbs/${azurerm_cosmosdb_sql_database.this.name}/colls/${azurerm_cosmosdb_sql_container.features.name}"
}
