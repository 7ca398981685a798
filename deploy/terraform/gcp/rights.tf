# What more than one identity may do. A role is given for one bucket, database, secret or account, see rights_*.tf.
# Of the predefined ones, storage.objectUser may also change metadata and make folders, datastore.user may ask for statistics and indexes,
# and aiplatform.user makes and deletes all that Vertex AI has.

resource "google_project_iam_custom_role" "list_objects" {
  role_id     = "${local.roles}.listObjects"
  title       = "${var.name}: list objects"
  permissions = ["storage.objects.list"]
  depends_on  = [google_project_service.this]
}

resource "google_project_iam_custom_role" "read_objects" {
  role_id     = "${local.roles}.readObjects"
  title       = "${var.name}: read objects"
  permissions = ["storage.objects.get"]
  depends_on  = [google_project_service.this]
}

resource "google_project_iam_custom_role" "write_objects" {
  role_id     = "${local.roles}.writeObjects"
  title       = "${var.name}: write new objects"
  permissions = ["storage.objects.create"]
  depends_on  = [google_project_service.this]
}

resource "google_project_iam_custom_role" "read_secrets" {
  role_id     = "${local.roles}.readSecrets"
  title       = "${var.name}: read secrets"
  permissions = ["secretmanager.versions.access"]
  depends_on  = [google_project_service.this]
}

locals {
  objects  = "resource.name.startsWith('projects/_/buckets/${google_storage_bucket.this.name}/objects/"
  database = "resource.name == 'projects/${var.project}/databases/${google_firestore_database.online.name}'"
}
