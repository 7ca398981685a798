"""Conformance kits, one for each contract, and in-memory fakes that pass them."""
