# Secrets without their values, which never pass through here: 'gcloud secrets versions add' gives them.

resource "google_secret_manager_secret" "this" {
  for_each            = var.secrets
  secret_id           = "${var.name}-${each.key}"
  deletion_protection = true
  version_destroy_ttl = "2592000s" # 30 days
  labels              = { name = "${var.name}-${each.key}" }
  depends_on          = [google_project_service.this]
  replication {
    user_managed {
      replicas {
        location = var.region
      }
    }
  }
}
