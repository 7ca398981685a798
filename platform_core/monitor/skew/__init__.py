"""Training-serving skew: served features compared with the offline point-in-time join."""
