"""Computing features: a team's functions over raw rows, what they rest on, and the point-in-time join."""
