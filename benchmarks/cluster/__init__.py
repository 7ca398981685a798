"""A real Kubernetes with one node: what our parts add to what Kubernetes or a peer does alone."""
