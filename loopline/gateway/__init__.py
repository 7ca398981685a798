"""What may stand before the inference server: API keys, quotas, an access log, traces, TLS."""
