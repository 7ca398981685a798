"""Gateway of the inference server: API keys, rate limits, access log, tracing."""
