"""AWS Secrets Manager: secret store."""
