# Two containers, since rights are given by container: one of the loop, with lake/ for the tables and landing/ for files as they arrive, and
# one of inference servers, with desired states, packages and prediction logs.

resource "azurerm_storage_account" "this" {
  name                              = local.short
  resource_group_name               = azurerm_resource_group.this.name
  location                          = var.location
  account_kind                      = "StorageV2"
  account_tier                      = "Standard"
  account_replication_type          = "ZRS"
  https_traffic_only_enabled        = true
  min_tls_version                   = "TLS1_2"
  public_network_access_enabled     = false
  allow_nested_items_to_be_public   = false
  shared_access_key_enabled         = false
  default_to_oauth_authentication   = true
  cross_tenant_replication_enabled  = false
  infrastructure_encryption_enabled = true # twice: by the service's keys, and by those of the machines below
  tags                              = local.tags
  blob_properties {
    versioning_enabled = true
    delete_retention_policy {
      days = var.keep_days
    }
    container_delete_retention_policy {
      days = var.keep_days
    }
  }
  network_rules {
    default_action = "Deny"
    bypass         = ["AzureServices"] # Event Grid, with rights of its own: it knows no private endpoints
  }
  lifecycle {
    prevent_destroy = true
  }
}

resource "azurerm_storage_container" "loop" {
  name                  = var.name
  storage_account_id    = azurerm_storage_account.this.id
  container_access_type = "private"
}

resource "azurerm_storage_container" "serving" {
  name                  = "${var.name}-serving"
  storage_account_id    = azurerm_storage_account.this.id
  container_access_type = "private"
}

resource "azurerm_storage_management_policy" "this" {
  storage_account_id = azurerm_storage_account.this.id
  rule {
    name    = "what-was-written-over"
    enabled = true
    filters {
      blob_types = ["blockBlob"]
    }
    actions {
      version {
        delete_after_days_since_creation = var.keep_days
      }
    }
  }
}
