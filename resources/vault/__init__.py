"""Vault, and OpenBao, which speaks its API."""
