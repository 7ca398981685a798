"""Vertex AI: compute as its custom jobs, and serving on its endpoints."""
