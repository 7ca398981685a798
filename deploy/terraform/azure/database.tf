# PostgreSQL for the ledger, the registry and Dagster; users and passwords of their own are made by who operates.

resource "azurerm_postgresql_flexible_server" "this" {
  name                          = local.short
  resource_group_name           = azurerm_resource_group.this.name
  location                      = var.location
  version                       = "16"
  sku_name                      = var.database_sku
  storage_mb                    = var.database_mb
  auto_grow_enabled             = true
  backup_retention_days         = 14
  administrator_login           = "loopline"
  administrator_password_wo     = var.database_password
  delegated_subnet_id           = azurerm_subnet.database.id
  private_dns_zone_id           = azurerm_private_dns_zone.database.id
  public_network_access_enabled = false
  tags                          = local.tags
  depends_on                    = [azurerm_private_dns_zone_virtual_network_link.database]

  administrator_password_wo_version = 1
  high_availability {
    mode = "ZoneRedundant"
  }
  lifecycle {
    prevent_destroy = true
    ignore_changes  = [zone, high_availability[0].standby_availability_zone]
  }
}

resource "azurerm_postgresql_flexible_server_configuration" "tls" {
  name      = "require_secure_transport"
  server_id = azurerm_postgresql_flexible_server.this.id
  value     = "on"
}

resource "azurerm_postgresql_flexible_server_database" "this" {
  for_each  = toset(["dagster", "ledger", "registry"])
  name      = each.key
  server_id = azurerm_postgresql_flexible_server.this.id
  lifecycle {
    prevent_destroy = true
  }
}
