"""Monitoring: drift, live quality with fairness, and training-serving skew."""
