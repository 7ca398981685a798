# What a job of Azure ML may do: read the lake, write models' files, and what its mount of the container does as the job's identity. The image
# is pulled by the clusters' own right (AcrPull), which is not given here: whoever makes the clusters gives it.

resource "azurerm_role_assignment" "training_blobs" {
  scope              = azurerm_storage_container.loop.id
  role_definition_id = azurerm_role_definition.read_and_write_blobs.role_definition_resource_id
  principal_id       = azurerm_user_assigned_identity.training.principal_id
  principal_type     = "ServicePrincipal"
}

resource "azurerm_role_assignment" "training_secrets" {
  scope              = azurerm_key_vault.this.id
  role_definition_id = azurerm_role_definition.read_secrets.role_definition_resource_id
  principal_id       = azurerm_user_assigned_identity.training.principal_id
  principal_type     = "ServicePrincipal"
}
