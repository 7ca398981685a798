"""Commands on features: the registry, the service, audits."""
