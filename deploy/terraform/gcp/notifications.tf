# The bucket tells a topic of files that arrive; the loop pulls from the topic's subscription, if the event source names it.

resource "google_pubsub_topic" "landing" {
  name       = "${var.name}-landing"
  labels     = { name = var.name }
  depends_on = [google_project_service.this]
  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }
}

resource "google_pubsub_subscription" "landing" {
  name                       = "${var.name}-landing"
  topic                      = google_pubsub_topic.landing.id
  ack_deadline_seconds       = 120
  message_retention_duration = "604800s" # 7 days
  labels                     = { name = var.name }
  expiration_policy {
    ttl = "" # never
  }
}

resource "google_project_iam_custom_role" "tell_of_files" {
  role_id     = "${local.roles}.tellOfFiles"
  title       = "${var.name}: tell of files"
  permissions = ["pubsub.topics.publish"]
  depends_on  = [google_project_service.this]
}

resource "google_pubsub_topic_iam_member" "bucket_tells" {
  topic  = google_pubsub_topic.landing.name
  role   = google_project_iam_custom_role.tell_of_files.id
  member = data.google_storage_project_service_account.this.member
}

resource "google_storage_notification" "landing" {
  bucket             = google_storage_bucket.this.name
  topic              = google_pubsub_topic.landing.id
  payload_format     = "NONE" # attributes say it all
  event_types        = ["OBJECT_FINALIZE"]
  object_name_prefix = "landing/"
  depends_on         = [google_pubsub_topic_iam_member.bucket_tells]
}
