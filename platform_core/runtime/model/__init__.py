"""Models in the server: packages, input encoding, batching, explanations."""
