"""The inference server beside other servers of Python models."""
