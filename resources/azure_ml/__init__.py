"""Azure Machine Learning: compute as its command jobs, and serving on its managed online endpoints."""
