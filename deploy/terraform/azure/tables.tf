# Features: consistency, partition key, time to live and index as resources/cosmos has them.

resource "azurerm_cosmosdb_account" "this" {
  name                             = local.short
  resource_group_name              = azurerm_resource_group.this.name
  location                         = var.location
  offer_type                       = "Standard"
  kind                             = "GlobalDocumentDB"
  minimal_tls_version              = "Tls12"
  public_network_access_enabled    = false
  local_authentication_disabled    = true
  multiple_write_locations_enabled = false # conditions on writes hold in one region only
  tags                             = local.tags
  consistency_policy {
    consistency_level = "BoundedStaleness"
  }
  geo_location {
    location          = var.location
    failover_priority = 0
    zone_redundant    = true
  }
  backup {
    type = "Continuous"
    tier = "Continuous7Days"
  }
  lifecycle {
    prevent_destroy = true
  }
}

resource "azurerm_cosmosdb_sql_database" "this" {
  name                = "loopline"
  resource_group_name = azurerm_resource_group.this.name
  account_name        = azurerm_cosmosdb_account.this.name
}

resource "azurerm_cosmosdb_sql_container" "features" {
  name                  = "features"
  resource_group_name   = azurerm_resource_group.this.name
  account_name          = azurerm_cosmosdb_account.this.name
  database_name         = azurerm_cosmosdb_sql_database.this.name
  partition_key_paths   = ["/id"]
  partition_key_version = 2
  default_ttl           = -1 # each row says its own
  autoscale_settings {
    max_throughput = var.most_request_units
  }
  indexing_policy {
    indexing_mode = "consistent"
    included_path {
      path = "/view/?"
    }
    excluded_path {
      path = "/*"
    }
  }
  lifecycle {
    prevent_destroy = true
  }
}
