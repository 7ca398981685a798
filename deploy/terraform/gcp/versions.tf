terraform {
  required_version = ">= 1.7"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.40, < 8.0"
    }
  }
}

provider "google" {
  project        = var.project
  region         = var.region
  default_labels = local.labels
}

data "google_project" "this" {}

locals {
  labels = merge(var.labels, { loopline-installation = var.name })
  roles  = replace(var.name, "-", "_") # what names of roles begin with, which have no hyphen
}

resource "google_project_service" "this" {
  for_each = toset([
    "aiplatform", "artifactregistry", "cloudkms", "compute", "dns", "firestore", "iam", "iamcredentials", "pubsub",
    "secretmanager", "servicenetworking", "sqladmin", "storage"
  ])
  service            = "${each.key}.googleapis.com"
  disable_on_destroy = false
}
