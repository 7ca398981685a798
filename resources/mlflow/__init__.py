"""MLflow: model registry."""
