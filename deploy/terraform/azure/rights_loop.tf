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

resource "azurerm_role_definition" "be_told_of_files" {
  name              = "${local.short}: be told of files"
  scope             = azurerm_resource_group.this.id
  assignable_scopes = [azurerm_resource_group.this.id]
  permissions {
    data_actions = [
      "Microsoft.Storage/storageAccounts/queueServices/queues/messages/process/action"
    ]
  }
}

resource "azurerm_role_assignment" "loop_is_told" {
  scope              = azurerm_storage_queue.landing.id
  role_definition_id = azurerm_role_definition.be_told_of_files.role_definition_resource_id
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

resource "azurerm_role_definition" "run_jobs" {
  name              = "${local.short}: run training jobs"
  scope             = azurerm_resource_group.this.id
  assignable_scopes = [azurerm_resource_group.this.id]
  permissions {
    actions = [
      "Microsoft.MachineLearningServices/workspaces/environments/versions/read",
      "Microsoft.MachineLearningServices/workspaces/environments/versions/write",
      "Microsoft.MachineLearningServices/workspaces/experiments/runs/read",
      "Microsoft.MachineLearningServices/workspaces/jobs/cancel/action",
      "Microsoft.MachineLearningServices/workspaces/jobs/read",
      "Microsoft.MachineLearningServices/workspaces/jobs/write"
    ]
  }
}

resource "azurerm_role_assignment" "loop_trains" {
  for_each           = toset(var.workspace == "" ? [] : [var.workspace])
  scope              = local.workspace
  role_definition_id = azurerm_role_definition.run_jobs.role_definition_resource_id
  principal_id       = azurerm_user_assigned_identity.loop.principal_id
  principal_type     = "ServicePrincipal"
}

# Endpoints of Azure ML, where serving is bound to them: docs/how-to/serve-on-azure-ml.md. Versions of environments stand in run_jobs.
resource "azurerm_role_definition" "make_endpoints" {
  name              = "${local.short}: make endpoints"
  scope             = azurerm_resource_group.this.id
  assignable_scopes = [azurerm_resource_group.this.id]
  permissions {
    actions = [
      "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/delete",
      "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments/delete",
      "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments/read",
      "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments/write",
      "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/read",
      "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/write"
    ]
  }
}

resource "azurerm_role_assignment" "loop_makes_endpoints" {
  for_each           = toset(var.workspace == "" ? [] : [var.workspace])
  scope              = local.workspace
  role_definition_id = azurerm_role_definition.make_endpoints.role_definition_resource_id
  principal_id       = azurerm_user_assigned_identity.loop.principal_id
  principal_type     = "ServicePrincipal"
}

resource "azurerm_role_definition" "give_an_identity" {
  name              = "${local.short}: give an endpoint its identity"
  scope             = azurerm_resource_group.this.id
  assignable_scopes = [azurerm_resource_group.this.id]
  permissions {
    actions = [
      "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action"
    ]
  }
}

resource "azurerm_role_assignment" "loop_gives_endpoints_the_identity_of_servers" {
  for_each           = toset(var.workspace == "" ? [] : [var.workspace])
  scope              = azurerm_user_assigned_identity.serving.id
  role_definition_id = azurerm_role_definition.give_an_identity.role_definition_resource_id
  principal_id       = azurerm_user_assigned_identity.loop.principal_id
  principal_type     = "ServicePrincipal"
}
