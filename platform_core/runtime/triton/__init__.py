"""Triton's extensions of the protocol: repository index, configuration, statistics; the rest is refused."""
