# What a training job may do: its task's own reads and writes, and what Vertex AI's mount of the bucket does as the job's account. The image is
# pulled by Vertex AI's own account, and a log goes to the bucket.

resource "google_storage_bucket_iam_member" "training_lists" {
  bucket = google_storage_bucket.this.name
  role   = google_project_iam_custom_role.list_objects.id
  member = google_service_account.training.member
}

resource "google_storage_bucket_iam_member" "training_reads" {
  bucket = google_storage_bucket.this.name
  role   = google_project_iam_custom_role.read_objects.id
  member = google_service_account.training.member
  condition {
    title      = "reads"
    expression = "${local.objects}lake/') || ${local.objects}models/') || ${local.objects}tasks/')"
  }
}

resource "google_storage_bucket_iam_member" "training_writes" {
  bucket = google_storage_bucket.this.name
  role   = google_project_iam_custom_role.write_objects.id
  member = google_service_account.training.member
  condition {
    title      = "writes"
    expression = "${local.objects}models/') || ${local.objects}tasks/')"
  }
}

resource "google_project_iam_custom_role" "mount_objects" {
  role_id     = "${local.roles}.mountObjects"
  title       = "${var.name}: what a mount asks besides"
  permissions = ["storage.objects.delete", "storage.objects.update"]
  depends_on  = [google_project_service.this]
}

resource "google_storage_bucket_iam_member" "training_mounts_tasks" {
  bucket = google_storage_bucket.this.name
  role   = google_project_iam_custom_role.mount_objects.id
  member = google_service_account.training.member
  condition {
    title      = "mounts tasks"
    expression = "${local.objects}tasks/')"
  }
}

resource "google_secret_manager_secret_iam_member" "training" {
  for_each  = google_secret_manager_secret.this
  secret_id = each.value.id
  role      = google_project_iam_custom_role.read_secrets.id
  member    = google_service_account.training.member
}
