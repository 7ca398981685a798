# A network without a way to or from the internet: Google's services are asked from inside. The GKE cluster belongs into its subnet; the last
# quarter of the addresses is for what Google peers with it.

resource "google_compute_network" "this" {
  name                            = var.name
  auto_create_subnetworks         = false
  delete_default_routes_on_create = true
  routing_mode                    = "REGIONAL"
  depends_on                      = [google_project_service.this]
}

resource "google_compute_subnetwork" "nodes" {
  name                     = "${var.name}-nodes"
  network                  = google_compute_network.this.id
  region                   = var.region
  ip_cidr_range            = cidrsubnet(var.cidr, 2, 0)
  private_ip_google_access = true
  secondary_ip_range {
    range_name    = "pods"
    ip_cidr_range = cidrsubnet(var.cidr, 2, 1)
  }
  secondary_ip_range {
    range_name    = "services"
    ip_cidr_range = cidrsubnet(var.cidr, 2, 2)
  }
  log_config {
    aggregation_interval = "INTERVAL_10_MIN"
    flow_sampling        = 0.1
    metadata             = "EXCLUDE_ALL_METADATA"
  }
}

# private.googleapis.com: the only place outside this network that a packet may go to, under names that lead nowhere else
resource "google_compute_route" "google" {
  name             = "${var.name}-google"
  network          = google_compute_network.this.id
  dest_range       = "199.36.153.8/30"
  next_hop_gateway = "default-internet-gateway"
}

resource "google_dns_managed_zone" "google" {
  for_each   = toset(["googleapis.com", "pkg.dev"])
  name       = "${var.name}-${replace(each.key, ".", "-")}"
  dns_name   = "${each.key}."
  visibility = "private"
  depends_on = [google_project_service.this]
  labels     = { name = var.name }
  private_visibility_config {
    networks {
      network_url = google_compute_network.this.id
    }
  }
}

resource "google_dns_record_set" "here" {
  for_each     = google_dns_managed_zone.google
  managed_zone = each.value.name
  name         = each.value.dns_name
  type         = "A"
  ttl          = 300
  rrdatas      = ["199.36.153.8", "199.36.153.9", "199.36.153.10", "199.36.153.11"]
}

resource "google_dns_record_set" "below" {
  for_each     = google_dns_managed_zone.google
  managed_zone = each.value.name
  name         = "*.${each.value.dns_name}"
  type         = "CNAME"
  ttl          = 300
  rrdatas      = [each.value.dns_name]
}

# where Cloud SQL and Vertex AI's jobs stand, peered with this network
resource "google_compute_global_address" "google" {
  name          = "${var.name}-google"
  network       = google_compute_network.this.id
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  address       = split("/", cidrsubnet(var.cidr, 2, 3))[0]
  prefix_length = tonumber(split("/", cidrsubnet(var.cidr, 2, 3))[1])
}

resource "google_service_networking_connection" "google" {
  network                 = google_compute_network.this.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.google.name]
  depends_on              = [google_project_service.this]
}

resource "google_compute_firewall" "inside" {
  name          = "${var.name}-inside"
  network       = google_compute_network.this.id
  direction     = "INGRESS"
  source_ranges = [var.cidr]
  allow {
    protocol = "tcp"
  }
}
