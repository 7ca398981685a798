"""Deployments: desired state of each endpoint, local model packages, promotion requests."""
