"""Training-serving skew: answers asked again by the offline path."""
