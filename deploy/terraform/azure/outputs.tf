output "environment" {
  description = "Variables of an environment file on Azure: 'terraform output -json environment'."
  value = {
    LOOPLINE_ACCOUNT           = azurerm_storage_account.this.name
    LOOPLINE_STORE             = "az://${azurerm_storage_container.loop.name}"
    LOOPLINE_MODELS            = "wasbs://${azurerm_storage_container.loop.name}@${azurerm_storage_account.this.primary_blob_host}/models"
    LOOPLINE_COSMOS            = azurerm_cosmosdb_account.this.endpoint
    LOOPLINE_VAULT             = azurerm_key_vault.this.vault_uri
    LOOPLINE_IMAGE             = "${azurerm_container_registry.this.login_server}/loopline:1"
    LOOPLINE_SUBSCRIPTION      = data.azurerm_client_config.this.subscription_id
    LOOPLINE_RESOURCE_GROUP    = azurerm_resource_group.this.name
    LOOPLINE_TRAINING_IDENTITY = azurerm_user_assigned_identity.training.client_id
  }
}

output "places" {
  description = "What bindings beside those may name: the container of inference servers, the queue of new files, images, the subnet for the cluster, identities, PostgreSQL, secrets to make."
  value = {
    serving       = "az://${azurerm_storage_container.serving.name}"
    landing_queue = "${azurerm_storage_account.this.primary_queue_endpoint}${azurerm_storage_queue.landing.name}"
    images        = azurerm_container_registry.this.login_server
    subnet        = azurerm_subnet.nodes.id
    clients       = { loop = azurerm_user_assigned_identity.loop.client_id, serving = azurerm_user_assigned_identity.serving.client_id }
    tenant        = data.azurerm_client_config.this.tenant_id
    database      = azurerm_postgresql_flexible_server.this.fqdn
    secrets       = [for secret in var.secrets : "${var.name}-${secret}"]
  }
}
