"""Shared code of Google Cloud vendors: gRPC channels and error mapping."""
