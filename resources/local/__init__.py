"""Serving on this machine, by Loopline's own inference server."""
