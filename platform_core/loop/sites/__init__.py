"""Sites: when each was heard of, and what it tells the control plane."""
