"""Vendors: implementations of the contracts, one folder each, one file a contract."""
