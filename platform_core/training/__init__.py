"""Training: from a pinned training set to an evaluated, packaged and registered model version."""
