"""Loopline's own inference server on this machine."""
