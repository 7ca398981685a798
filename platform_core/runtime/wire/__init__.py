"""Wire formats: HTTP bodies over ASGI, and the Open Inference Protocol V2."""
