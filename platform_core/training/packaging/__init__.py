"""Packaging: a fitted estimator becomes a package that the server loads, and is registered."""
