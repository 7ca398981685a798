"""A conformance kit for each contract, and the in-memory fakes that pass it."""
