# What inference servers may do. Those of an endpoint group have the prefix serving/<group>/ to themselves.

resource "google_storage_bucket_iam_member" "serving_lists" {
  bucket = google_storage_bucket.this.name
  role   = google_project_iam_custom_role.list_objects.id
  member = google_service_account.serving.member
}

resource "google_storage_bucket_iam_member" "serving_reads" {
  bucket = google_storage_bucket.this.name
  role   = google_project_iam_custom_role.read_objects.id
  member = google_service_account.serving.member
  condition {
    title      = "reads"
    expression = "${local.objects}serving/')"
  }
}

resource "google_storage_bucket_iam_member" "serving_writes" {
  bucket = google_storage_bucket.this.name
  role   = google_project_iam_custom_role.write_objects.id
  member = google_service_account.serving.member
  condition {
    title      = "writes"
    expression = "${local.objects}serving/')"
  }
}

resource "google_project_iam_custom_role" "replace_objects" {
  role_id     = "${local.roles}.replaceObjects"
  title       = "${var.name}: write objects over, and delete them"
  permissions = ["storage.objects.delete"]
  depends_on  = [google_project_service.this]
}

resource "google_storage_bucket_iam_member" "serving_replaces_reports" {
  bucket = google_storage_bucket.this.name
  role   = google_project_iam_custom_role.replace_objects.id
  member = google_service_account.serving.member
  condition {
    title      = "replaces reports"
    expression = "${local.objects}serving/observed/') || resource.name.extract('/objects/serving/{group}/observed/') != ''"
  }
}

resource "google_project_iam_custom_role" "serving_rows" {
  role_id = "${local.roles}.servingRows"
  title   = "${var.name}: read online rows"
  permissions = [
    "datastore.entities.get"
  ]
  depends_on = [google_project_service.this]
}

resource "google_project_iam_member" "serving_rows" {
  project = var.project
  role    = google_project_iam_custom_role.serving_rows.id
  member  = google_service_account.serving.member
  condition {
    title      = "online rows"
    expression = local.database
  }
}

resource "google_secret_manager_secret_iam_member" "serving" {
  for_each  = google_secret_manager_secret.this
  secret_id = each.value.id
  role      = google_project_iam_custom_role.read_secrets.id
  member    = google_service_account.serving.member
}
