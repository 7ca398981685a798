"""Bytes in and out: bodies over ASGI, and the Open Inference Protocol V2."""
