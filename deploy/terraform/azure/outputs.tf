output "environment" {
  description = "Variables of an environment file on Azure: 'terraform output -json environment'."
  value = {
    LOOPLINE_ACCOUNT = azurerm_storage_account.this.name
    LOOPLINE_STORE   = "az://${azurerm_storage_container.loop.name}"
    LOOPLINE_COSMOS  = azurerm_cosmosdb_account.this.endpoint
    LOOPLINE_VAULT   = azurerm_key_vault.this.vault_uri
  }
}

output "places" {
  description = "What bindings beside those may name: the container of inference servers, images, the subnet for the cluster, identities, PostgreSQL, secrets to make."
  value = {
    serving  = "az://${azurerm_storage_container.serving.name}"
    images   = azurerm_container_registry.this.login_server
    subnet   = azurerm_subnet.nodes.id
    clients  = { loop = azurerm_user_assigned_identity.loop.client_id, serving = azurerm_user_assigned_identity.serving.client_id }
    tenant   = data.azurerm_client_config.this.tenant_id
    database = azurerm_postgresql_flexible_server.this.fqdn
    secrets  = [for secret in var.secrets : "${var.name}-${secret}"]
  }
}
