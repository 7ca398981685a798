"""Kubernetes: compute as Jobs, serving as Deployments."""
