"""Sites: heartbeats, and redaction of what they report to the control plane."""
