"""Files in a folder, as Kubernetes and Docker mount secrets: secret store."""
