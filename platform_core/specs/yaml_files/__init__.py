"""Declarations in YAML: models, experiments, and what is wrong with them."""
