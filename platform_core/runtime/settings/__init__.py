"""Server settings of an environment file: limits, gateway, deferred requests."""
