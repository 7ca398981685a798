# What Dagster's pods and code locations may do.

resource "google_project_iam_custom_role" "loop_objects" {
  role_id = "${local.roles}.loopObjects"
  title   = "${var.name}: objects"
  permissions = [
    "storage.multipartUploads.abort", "storage.multipartUploads.create", "storage.objects.create", "storage.objects.delete",
    "storage.objects.get", "storage.objects.list"
  ]
  depends_on = [google_project_service.this]
}

resource "google_storage_bucket_iam_member" "loop_objects" {
  bucket = google_storage_bucket.this.name
  role   = google_project_iam_custom_role.loop_objects.id
  member = google_service_account.loop.member
}

resource "google_project_iam_custom_role" "loop_rows" {
  role_id = "${local.roles}.loopRows"
  title   = "${var.name}: online rows"
  permissions = [
    "datastore.entities.create", "datastore.entities.delete", "datastore.entities.get", "datastore.entities.list",
    "datastore.entities.update"
  ]
  depends_on = [google_project_service.this]
}

resource "google_project_iam_member" "loop_rows" {
  project = var.project
  role    = google_project_iam_custom_role.loop_rows.id
  member  = google_service_account.loop.member
  condition {
    title      = "online rows"
    expression = local.database
  }
}

resource "google_project_iam_custom_role" "loop_is_told" {
  role_id     = "${local.roles}.loopIsTold"
  title       = "${var.name}: be told of files"
  permissions = ["pubsub.subscriptions.consume"]
  depends_on  = [google_project_service.this]
}

resource "google_pubsub_subscription_iam_member" "loop_is_told" {
  subscription = google_pubsub_subscription.landing.name
  role         = google_project_iam_custom_role.loop_is_told.id
  member       = google_service_account.loop.member
}

resource "google_secret_manager_secret_iam_member" "loop" {
  for_each  = google_secret_manager_secret.this
  secret_id = each.value.id
  role      = google_project_iam_custom_role.read_secrets.id
  member    = google_service_account.loop.member
}

resource "google_project_iam_custom_role" "loop_trainings" {
  role_id = "${local.roles}.loopTrainings"
  title   = "${var.name}: training jobs"
  permissions = [
    "aiplatform.customJobs.cancel", "aiplatform.customJobs.create", "aiplatform.customJobs.get", "aiplatform.customJobs.list"
  ]
  depends_on = [google_project_service.this]
}

resource "google_project_iam_member" "loop_trainings" {
  project = var.project # jobs have no rights of their own
  role    = google_project_iam_custom_role.loop_trainings.id
  member  = google_service_account.loop.member
}

resource "google_project_iam_custom_role" "loop_acts_as" {
  role_id     = "${local.roles}.loopActsAs"
  title       = "${var.name}: have jobs and endpoints run as an account"
  permissions = ["iam.serviceAccounts.actAs"]
  depends_on  = [google_project_service.this]
}

resource "google_service_account_iam_member" "loop_acts_as_training" {
  service_account_id = google_service_account.training.name
  role               = google_project_iam_custom_role.loop_acts_as.id
  member             = google_service_account.loop.member
}

resource "google_project_iam_custom_role" "loop_endpoints" {
  role_id = "${local.roles}.loopEndpoints"
  title   = "${var.name}: endpoints"
  permissions = [
    "aiplatform.endpoints.create", "aiplatform.endpoints.delete", "aiplatform.endpoints.deploy", "aiplatform.endpoints.get",
    "aiplatform.endpoints.undeploy", "aiplatform.endpoints.update", "aiplatform.models.delete", "aiplatform.models.get",
    "aiplatform.models.list", "aiplatform.models.upload", "aiplatform.operations.list"
  ]
  depends_on = [google_project_service.this]
}

resource "google_project_iam_member" "loop_endpoints" {
  project = var.project # of endpoints and models that are not there yet nobody can be given rights
  role    = google_project_iam_custom_role.loop_endpoints.id
  member  = google_service_account.loop.member
}

resource "google_service_account_iam_member" "loop_acts_as_serving" {
  service_account_id = google_service_account.serving.name
  role               = google_project_iam_custom_role.loop_acts_as.id
  member             = google_service_account.loop.member
}
