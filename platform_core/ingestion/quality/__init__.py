"""Data quality of landings: profiled, checked against earlier ones, and doubted when they fail."""
