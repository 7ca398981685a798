# Features: fields as resources/firestore/documents.py has them. All rows are one collection group, asked for by name only.

resource "google_firestore_database" "online" {
  name                              = "${var.name}-online"
  location_id                       = var.region
  type                              = "FIRESTORE_NATIVE"
  concurrency_mode                  = "OPTIMISTIC"
  app_engine_integration_mode       = "DISABLED"
  point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"
  delete_protection_state           = "DELETE_PROTECTION_ENABLED"
  deletion_policy                   = "ABANDON"
  depends_on                        = [google_project_service.this]
}

resource "google_firestore_field" "expires_at" {
  database   = google_firestore_database.online.name
  collection = "loopline_rows"
  field      = "expires_at"
  ttl_config {}
  index_config {}
}

resource "google_firestore_field" "row" {
  database   = google_firestore_database.online.name
  collection = "loopline_rows"
  field      = "row"
  index_config {}
}
