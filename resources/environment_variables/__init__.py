"""Environment variables of the process: secret store."""
