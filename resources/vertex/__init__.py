"""Vertex AI: heavy work as its custom jobs, and endpoints."""
