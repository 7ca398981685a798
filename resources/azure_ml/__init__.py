"""Azure Machine Learning: heavy work as its command jobs, and endpoints as its managed online endpoints."""
