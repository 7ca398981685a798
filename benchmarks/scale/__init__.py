"""What a large installation asks of Kubernetes: hundreds of teams and nodes, a thousand models; nodes are simulated."""
