"""A real Kubernetes on one machine for the tests: everything of it lives in namespaces of its own."""
