"""Google Cloud Secret Manager: secret store."""
