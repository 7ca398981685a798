"""What an environment may say of the server: limits, the gateway, put-off requests."""
