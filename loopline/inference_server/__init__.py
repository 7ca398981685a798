"""The inference server as a process: the application put together from an environment file."""
