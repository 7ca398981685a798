# The platform's image and that of inference servers; a tag is what it was for ever. Vertex AI pulls as its own service agent, which may, and
# GKE's nodes as theirs.

resource "google_artifact_registry_repository" "this" {
  location      = var.region
  repository_id = var.name
  format        = "DOCKER"
  labels        = { name = var.name }
  depends_on    = [google_project_service.this]
  docker_config {
    immutable_tags = true
  }
  cleanup_policies {
    id     = "untagged"
    action = "DELETE"
    condition {
      tag_state  = "UNTAGGED"
      older_than = "1209600s" # 14 days
    }
  }
}
