output "environment" {
  description = "Variables of an environment file on Google Cloud: 'terraform output -json environment'."
  value = {
    LOOPLINE_PROJECT          = var.project
    LOOPLINE_LOCATION         = var.region
    LOOPLINE_STORE            = "gs://${google_storage_bucket.this.name}"
    LOOPLINE_DATABASE         = google_firestore_database.online.name
    LOOPLINE_IMAGE            = "${var.region}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.this.repository_id}/platform"
    LOOPLINE_TRAINING_ACCOUNT = google_service_account.training.email
    LOOPLINE_SERVING_IMAGE    = "${var.region}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.this.repository_id}/serving"
    LOOPLINE_SERVING_ACCOUNT  = google_service_account.serving.email
    LOOPLINE_NETWORK          = "projects/${data.google_project.this.number}/global/networks/${google_compute_network.this.name}"
  }
}

output "places" {
  description = "What bindings beside those may name: the images' repository, the queue of new files, the subnet for the cluster, identities, PostgreSQL."
  value = {
    images            = "${var.region}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.this.repository_id}"
    landing_queue     = google_pubsub_subscription.landing.id
    subnet            = google_compute_subnetwork.nodes.id
    service_accounts  = { loop = google_service_account.loop.email, serving = google_service_account.serving.email }
    database          = google_sql_database_instance.this.private_ip_address
    database_instance = google_sql_database_instance.this.connection_name
  }
}
