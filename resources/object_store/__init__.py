"""Object stores (S3, Google Cloud Storage, Azure Blob): event source, states, logs, packages, anchors."""
