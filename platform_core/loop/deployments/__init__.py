"""Deployments: what each endpoint should serve, and the packages that it loads."""
