"""Redis Cluster: the memory of several servers, each of which holds some of 16,384 hash slots."""
