# A vault for secrets, which are not made here: they would pass through Terraform's state. 'az keyvault secret set' makes them.

resource "azurerm_key_vault" "this" {
  name                          = local.short
  resource_group_name           = azurerm_resource_group.this.name
  location                      = var.location
  tenant_id                     = data.azurerm_client_config.this.tenant_id
  sku_name                      = "standard"
  rbac_authorization_enabled    = true
  purge_protection_enabled      = true
  soft_delete_retention_days    = 90
  public_network_access_enabled = false
  tags                          = local.tags
  network_acls {
    default_action = "Deny"
    bypass         = "None"
  }
}
