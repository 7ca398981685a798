"""Amazon SageMaker AI: compute as training jobs, and serving on its endpoints."""
