"""Vendors: one folder each, one file a contract."""
