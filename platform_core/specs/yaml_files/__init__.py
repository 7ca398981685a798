"""YAML declarations of models and experiments, and their validation errors."""
