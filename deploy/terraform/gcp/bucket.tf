# One bucket: lake/ has the tables, landing/ files as they arrive, models/ the registry's artefacts, tasks/ those of training jobs and their
# answers, serving/ desired states, packages and prediction logs of inference servers.

data "google_storage_project_service_account" "this" {
  depends_on = [google_project_service.this]
}

resource "google_kms_key_ring" "this" {
  name       = var.name
  location   = var.region
  depends_on = [google_project_service.this]
}

resource "google_kms_crypto_key" "this" {
  name                       = "objects"
  key_ring                   = google_kms_key_ring.this.id
  rotation_period            = "7776000s" # 90 days
  destroy_scheduled_duration = "2592000s" # 30 days
  lifecycle {
    prevent_destroy = true
  }
}

resource "google_kms_crypto_key_iam_member" "storage" {
  crypto_key_id = google_kms_crypto_key.this.id
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = data.google_storage_project_service_account.this.member # the service itself: nobody else asks the key
}

resource "google_storage_bucket" "this" {
  name                        = "${var.name}-${data.google_project.this.number}-${var.region}"
  location                    = var.region
  storage_class               = "STANDARD"
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false
  labels                      = { name = var.name }
  depends_on                  = [google_kms_crypto_key_iam_member.storage]
  versioning {
    enabled = true
  }
  soft_delete_policy {
    retention_duration_seconds = 604800
  }
  encryption {
    default_kms_key_name = google_kms_crypto_key.this.id
  }
  lifecycle_rule { # what was deleted or written over
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = var.keep_days
      with_state                 = "ARCHIVED"
    }
  }
  lifecycle_rule { # uploads that were begun
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 7
    }
  }
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age            = var.answer_days
      matches_prefix = ["tasks/"]
      with_state     = "LIVE"
    }
  }
  lifecycle {
    prevent_destroy = true
  }
}
