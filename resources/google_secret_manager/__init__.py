"""Secret Manager of Google Cloud."""
