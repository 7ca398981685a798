"""The inference server: the Open Inference Protocol over REST and gRPC, with few dependencies."""
