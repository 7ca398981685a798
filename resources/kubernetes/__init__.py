"""Vendors on Kubernetes."""
