# The platform's image and that of inference servers; the cluster's kubelet pulls them ('az aks update --attach-acr').

resource "azurerm_container_registry" "this" {
  name                          = local.short
  resource_group_name           = azurerm_resource_group.this.name
  location                      = var.location
  sku                           = "Premium" # which has private endpoints
  admin_enabled                 = false
  anonymous_pull_enabled        = false
  public_network_access_enabled = false
  zone_redundancy_enabled       = true
  retention_policy_in_days      = 14 # of images that no tag names any more
  tags                          = local.tags
}
