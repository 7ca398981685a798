"""Conformance of vendors: kits by contract, promises as data, conformance runs."""
