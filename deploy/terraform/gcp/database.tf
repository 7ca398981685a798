# PostgreSQL for the ledger, the registry and Dagster; its users and their passwords are made by who operates.

resource "google_sql_database_instance" "this" {
  name                = var.name
  region              = var.region
  database_version    = "POSTGRES_16"
  deletion_protection = true
  depends_on          = [google_service_networking_connection.google]
  settings {
    tier                        = var.database_tier
    edition                     = "ENTERPRISE"
    availability_type           = "REGIONAL"
    disk_type                   = "PD_SSD"
    disk_size                   = var.database_gb
    disk_autoresize             = true
    deletion_protection_enabled = true
    user_labels                 = merge(local.labels, { name = var.name }) # which the provider adds to no settings
    ip_configuration {
      ipv4_enabled    = false
      private_network = google_compute_network.this.id
      ssl_mode        = "ENCRYPTED_ONLY"
    }
    backup_configuration {
      enabled                        = true
      point_in_time_recovery_enabled = true
      transaction_log_retention_days = 7
      backup_retention_settings {
        retained_backups = 14
      }
    }
  }
}

resource "google_sql_database" "this" {
  for_each        = toset(["dagster", "ledger", "registry"])
  name            = each.key
  instance        = google_sql_database_instance.this.name
  deletion_policy = "ABANDON"
}
