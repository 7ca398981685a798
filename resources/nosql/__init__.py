"""Shared code of online stores on cloud document databases: keys, conditional writes, batching, rate limits."""
