"""Process supervision on one machine: starts, watches and stops all programs in order."""
