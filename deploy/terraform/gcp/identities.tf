# Who may do what: the rights stand in rights_*.tf.
# loop: Dagster's pods and code locations. serving: inference servers, also in endpoints of Vertex AI. training: jobs of Vertex AI.
# None has a key: pods are theirs by GKE's workload identity, jobs by Vertex AI.

resource "google_service_account" "loop" {
  account_id   = "${var.name}-loop"
  display_name = "Dagster's pods and code locations of ${var.name}"
  depends_on   = [google_project_service.this]
}

resource "google_service_account" "serving" {
  account_id   = "${var.name}-serving"
  display_name = "Inference servers of ${var.name}"
  depends_on   = [google_project_service.this]
}

resource "google_service_account" "training" {
  account_id   = "${var.name}-training"
  display_name = "Training jobs of ${var.name}"
  depends_on   = [google_project_service.this]
}

resource "google_service_account_iam_member" "loop_pods" {
  for_each           = toset(var.workload_pool == "" ? [] : [var.service_accounts.loop])
  service_account_id = google_service_account.loop.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "serviceAccount:${var.workload_pool}[${var.namespace}/${each.key}]"
}

resource "google_service_account_iam_member" "serving_pods" {
  for_each           = toset(var.workload_pool == "" ? [] : [var.service_accounts.serving])
  service_account_id = google_service_account.serving.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "serviceAccount:${var.workload_pool}[${var.namespace}/${each.key}]"
}
