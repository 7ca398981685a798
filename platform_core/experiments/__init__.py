"""Experiments: how large, how they stand, and what follows; safety stays with the judges of the rollout."""
