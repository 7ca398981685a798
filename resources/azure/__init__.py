"""Shared code of Azure vendors."""
