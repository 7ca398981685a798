"""An object store that servers and whoever deploys both reach: S3, Google Cloud Storage, Azure Blob."""
