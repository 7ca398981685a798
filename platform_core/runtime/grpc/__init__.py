"""gRPC server of the Open Inference Protocol, in the event loop of the HTTP server."""
